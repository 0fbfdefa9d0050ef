//! A node's folder: identity, certificate, catalog, blobs, control socket and `weft.toml`.

use std::io;
use std::path::{Path, PathBuf};

use weft_protocol::certificate::Chain;
use weft_protocol::sign::KeyPair;
use weft_protocol::wire;

use crate::path_text::{self, NotText};
use crate::studio::Studio;

/// The environment variable that names the folder.
pub const VARIABLE: &str = "WEFT_HOME";

/// A node's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

/// What makes a node a member of its studio.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its key pair.
    pub keys: KeyPair,
    /// Its certificate, with what proves it.
    pub chain: Chain,
    /// Its studio.
    pub studio: Studio,
}

/// A home can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Nothing was founded or joined here.
    #[error(
        "{0} belongs to no studio yet. Found one with `weft init --studio NAME`, or join one with \
         `weft join CODE`."
    )]
    Missing(PathBuf),
    /// Something was already.
    #[error(
        "{path} belongs to the studio '{studio}' already; nothing was changed. Use another \
         folder by setting WEFT_HOME."
    )]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Its studio's name.
        studio: String,
    },
    /// Its path is not text, and renderers are told the paths of their files in it.
    #[error(
        "{0}, and renderers are told paths in WEFT_HOME as text; nothing was changed. Use another \
         folder by setting WEFT_HOME."
    )]
    NotText(#[from] NotText),
    /// A file in it is damaged.
    #[error(
        "{0} can't be read: it is damaged, or was written by a newer weft. Nothing was changed."
    )]
    Damaged(PathBuf),
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Home {
    /// The home at `path`; relative paths count from the current folder.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a studio was founded or joined here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.certificate_path().exists()
    }

    /// The store's folder.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// The folder of the jobs' working files.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.path.join("jobs")
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("weft.toml")
    }

    /// Where the address of the HTTP API on loopback is written.
    #[must_use]
    pub fn api_address(&self) -> PathBuf {
        self.path.join("api.address")
    }

    /// Where the token of the HTTP API is kept.
    #[must_use]
    pub fn api_token(&self) -> PathBuf {
        self.path.join("api.token")
    }

    /// Where other nodes' addresses are remembered, one a line, each ending in `/p2p/…`.
    #[must_use]
    pub fn peers(&self) -> PathBuf {
        self.path.join("peers")
    }

    /// Where the port is remembered that the node listened on.
    #[must_use]
    pub fn port(&self) -> PathBuf {
        self.path.join("port")
    }

    fn key_path(&self) -> PathBuf {
        self.path.join("identity.key")
    }

    fn certificate_path(&self) -> PathBuf {
        self.path.join("certificate")
    }

    fn studio_path(&self) -> PathBuf {
        self.path.join("studio")
    }

    /// Fails if a studio was founded or joined here already, or can't be here.
    ///
    /// # Errors
    /// [`HomeError::Taken`], [`HomeError::NotText`].
    pub fn require_free(&self) -> Result<(), HomeError> {
        path_text::leading(&self.path)?;
        match self.membership() {
            Err(HomeError::Missing(_)) => Ok(()),
            Ok(membership) => {
                Err(HomeError::Taken { path: self.path.clone(), studio: membership.studio.name })
            }
            Err(error) => Err(error),
        }
    }

    /// The identity, certificate and studio that were written here.
    ///
    /// # Errors
    /// When there are none, or they can't be read.
    pub fn membership(&self) -> Result<Membership, HomeError> {
        if !self.exists() {
            return Err(HomeError::Missing(self.path.clone()));
        }
        let key: [u8; 32] = self
            .read(&self.key_path())?
            .try_into()
            .map_err(|_| HomeError::Damaged(self.key_path()))?;
        let chain = Chain::decode(&self.read(&self.certificate_path())?)
            .map_err(|_| HomeError::Damaged(self.certificate_path()))?;
        let studio = wire::decode(&self.read(&self.studio_path())?, Studio::MAX_ENCODED)
            .map_err(|_| HomeError::Damaged(self.studio_path()))?;
        Ok(Membership { keys: KeyPair::from_secret(&key), chain, studio })
    }

    /// Writes identity, studio and, last, the certificate, whose presence makes the home exist.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn found(&self, membership: &Membership) -> Result<(), HomeError> {
        self.create()?;
        self.write_private(&self.key_path(), &membership.keys.secret())?;
        self.write_private(&self.studio_path(), &wire::encode(&membership.studio))?;
        self.write_chain(&membership.chain)
    }

    /// Replaces the certificate.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn write_chain(&self, chain: &Chain) -> Result<(), HomeError> {
        self.write_private(&self.certificate_path(), &chain.encode())
    }

    /// Creates the folder, for this user alone.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn create(&self) -> Result<(), HomeError> {
        let created = std::fs::create_dir_all(&self.path);
        created.map_err(|source| HomeError::Io { path: self.path.clone(), source })?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&self.path, private)
                .map_err(|source| HomeError::Io { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, HomeError> {
        std::fs::read(path).map_err(|source| HomeError::Io { path: path.to_owned(), source })
    }

    /// Writes a file that only this user may read, whole or not at all.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        let write = || {
            // Temporary files of this crate are created with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            io::Write::write_all(&mut file, bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|source| HomeError::Io { path: path.to_owned(), source })
    }

    /// The home that `WEFT_HOME` names, or the platform's data directory's.
    #[must_use]
    pub fn default_path() -> PathBuf {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return PathBuf::from(path);
        }
        let platform = directories::ProjectDirs::from("", "", "weft");
        platform.map_or_else(|| PathBuf::from(".weft"), |dirs| dirs.data_local_dir().to_owned())
    }
}
