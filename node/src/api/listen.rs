//! Where the API is served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::tokio::{Listener, Stream as LocalStream};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::access::{Access, Door, check};
use super::router;
use crate::home::Home;
use crate::network::API;
use crate::network::gate::node_of;
use crate::shared::Shared;

/// The longest path of a socket that every Unix takes, in bytes.
const MAX_SOCKET_PATH: usize = 100;

/// The API can't be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "the API can't be served on {place}: {reason}. Nothing was changed; choose another address with \
     --api, or end the program that uses it."
)]
pub struct ServeError {
    place: String,
    reason: String,
}

fn failed(place: impl Into<String>, reason: &dyn std::fmt::Display) -> ServeError {
    ServeError { place: place.into(), reason: reason.to_string() }
}

/// Where a home's control socket is: in the home, or under a name made from its path where that is
/// too long for a socket, or where the platform keeps pipes apart.
fn socket_path(home: &Home) -> PathBuf {
    let path = home.path().join("control.sock");
    let digest = blake3::hash(home.path().as_os_str().as_encoded_bytes()).to_hex();
    let name = &digest.as_str()[..24];
    if cfg!(windows) {
        return PathBuf::from(format!(r"\\.\pipe\weft-{name}"));
    }
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return path;
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folder = runtime.filter(|path| path.is_dir()).unwrap_or_else(|| PathBuf::from("/tmp"));
    folder.join(format!("weft-{name}.sock"))
}

fn socket_name(home: &Home) -> std::io::Result<Name<'static>> {
    socket_path(home).to_fs_name::<GenericFilePath>().map(Name::into_owned)
}

/// Connects to the daemon of a home.
pub(crate) async fn connect_local(home: &Home) -> std::io::Result<LocalStream> {
    LocalStream::connect(socket_name(home)?).await
}

/// Serves the API everywhere; says where on loopback.
pub(crate) async fn serve(
    node: &Arc<Shared>,
    api: Option<&str>,
) -> Result<Option<SocketAddr>, ServeError> {
    let router = router(Arc::clone(node));
    serve_socket(&node.home, router.clone())?;
    let address = serve_tcp(node, router.clone(), api).await?;
    serve_peers(node, router);
    Ok(Some(address))
}

fn serve_socket(home: &Home, router: Router) -> Result<(), ServeError> {
    let path = socket_path(home);
    // The store's lock says that no other daemon of this home lives: what is there is left over.
    if !cfg!(windows) {
        let _ = std::fs::remove_file(&path);
    }
    let place = path.display().to_string();
    let name = socket_name(home).map_err(|error| failed(&place, &error))?;
    let options = ListenerOptions::new().name(name);
    #[cfg(unix)]
    let options = interprocess::os::unix::local_socket::ListenerOptionsExt::mode(options, 0o600);
    let listener: Listener = options.create_tokio().map_err(|error| failed(&place, &error))?;
    let router = router.layer(Extension(Access::Local));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok(stream) => drop(tokio::spawn(answer(stream, router.clone()))),
                Err(error) => {
                    // Out of file handles, for one: that passes.
                    tracing::warn!(%error, "a local connection could not be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn serve_tcp(
    node: &Shared,
    router: Router,
    api: Option<&str>,
) -> Result<SocketAddr, ServeError> {
    let text = api.unwrap_or("127.0.0.1:0");
    let address: SocketAddr =
        text.parse().map_err(|_| failed(text, &"it is not of the form IP:PORT"))?;
    if !address.ip().is_loopback() {
        let why = "it is not a loopback address, and the API is not served beyond this machine";
        return Err(failed(text, &why));
    }
    let listener =
        tokio::net::TcpListener::bind(address).await.map_err(|error| failed(text, &error))?;
    let address = listener.local_addr().map_err(|error| failed(text, &error))?;
    let mut secret = [0; 24];
    getrandom::fill(&mut secret).map_err(|error| failed(text, &error))?;
    let token = data_encoding::BASE64URL_NOPAD.encode(&secret);
    let home = &node.home;
    home.write_private(&home.api_token(), token.as_bytes())
        .and_then(|()| home.write_private(&home.api_address(), address.to_string().as_bytes()))
        .map_err(|error| failed(text, &error))?;
    let door = Door { port: address.port(), token };
    let router = router
        .layer(axum::middleware::from_fn(move |request, next| check(door.clone(), request, next)));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, router.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "a connection to the API could not be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(address)
}

fn serve_peers(node: &Arc<Shared>, router: Router) {
    let mut incoming = node.network.accept(API);
    tokio::spawn(async move {
        while let Some((peer, stream)) = incoming.recv().await {
            if let Some(peer) = node_of(&peer) {
                let router = router.clone().layer(Extension(Access::Peer(peer)));
                tokio::spawn(answer(stream.compat(), router));
            }
        }
    });
}

async fn answer<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the API ended early");
    }
}

/// Removes what a daemon leaves in its home when it ends well.
pub(crate) fn clean_up(home: &Home) {
    if !cfg!(windows) {
        let _ = std::fs::remove_file(socket_path(home));
    }
    let _ = std::fs::remove_file(home.api_address());
}
