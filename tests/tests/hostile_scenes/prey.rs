//! What the corpus is after, and whether it got it.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;

use tempfile::TempDir;
use weft_tests::{Farm, processes, wait_for, write_file};

use crate::END;

/// Things of this machine that no run has to do with.
pub(crate) struct Prey {
    folder: TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    secret: String,
    /// A word of the command lines of what wants to stay behind: how long `sleep` would sleep.
    pub(crate) mark: String,
    key: PathBuf,
    control: PathBuf,
    config: PathBuf,
    before: Vec<u8>,
}

impl Prey {
    pub(crate) fn of(farm: &Farm) -> Self {
        // Not below /tmp, which every run has one of its own of.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
        tcp.set_nonblocking(true).expect("a listener need not wait");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback can be listened on");
        udp.set_nonblocking(true).expect("a socket need not wait");
        let port = tcp.local_addr().expect("it is bound").port();
        let secret = format!("the-secret-of-{port}");
        write_file(folder.path().join("home/secret.txt"), &secret);
        write_file(folder.path().join("home/secret.inc"), format!("#debug \"{secret}\\n\"\n"));
        let home = farm.node(1).home();
        let config = home.join("weft.toml");
        Self {
            before: std::fs::read(&config).expect("the node has a configuration"),
            mark: format!("3{port}"),
            key: home.join("identity.key"),
            control: home.join("control.sock"),
            config,
            folder,
            tcp,
            udp,
            secret,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A folder like a person's home, with `secret.txt` and `secret.inc` in it.
    pub(crate) fn home(&self) -> String {
        self.path("home")
    }

    /// A file that nobody may write.
    pub(crate) fn outside(&self) -> String {
        self.path("outside.txt")
    }

    pub(crate) fn port(&self) -> u16 {
        self.tcp.local_addr().expect("it is bound").port()
    }

    fn udp_port(&self) -> u16 {
        self.udp.local_addr().expect("it is bound").port()
    }

    /// The same as lines of Python.
    pub(crate) fn python(&self) -> String {
        format!(
            "HOME, OUTSIDE, PORT, UDP, MARK = {:?}, {:?}, {}, {}, {:?}\nKEY, CONTROL, CONFIG = {:?}, {:?}, {:?}\n",
            self.home(),
            self.outside(),
            self.port(),
            self.udp_port(),
            self.mark,
            self.key.display().to_string(),
            self.control.display().to_string(),
            self.config.display().to_string(),
        )
    }

    /// Nothing of it was reached: `said` is what the run printed and left.
    pub(crate) fn assert_untouched(&self, said: &str) {
        assert!(!said.contains(&self.secret), "the secret got out: {said}");
        assert!(!said.contains("GOT THROUGH"), "something worked: {said}");
        assert!(!self.folder.path().join("outside.txt").exists(), "it wrote outside: {said}");
        assert_eq!(
            std::fs::read(&self.config).unwrap(),
            self.before,
            "it changed weft.toml: {said}"
        );
        let called = self.tcp.accept().is_ok();
        assert!(!called, "it reached the network by TCP: {said}");
        let mut bytes = [0; 16];
        assert!(self.udp.recv(&mut bytes).is_err(), "it reached the network by UDP: {said}");
        wait_for(END, "nothing stays behind", || {
            processes(&self.mark, self.folder.path()).is_empty().then_some(())
        });
    }

    /// The arguments of `try.py`, which tries it all.
    pub(crate) fn script(&self) -> String {
        self.python() + include_str!("try.py")
    }
}
