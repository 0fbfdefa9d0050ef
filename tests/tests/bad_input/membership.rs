//! Machines that can't join, nodes that can't start, and nodes that can't be asked.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_tests::{Call, Farm, Output, Running, wait_for, write_file};

use crate::cases::Cases;

/// How long a node may take to start or to give up.
const START: Duration = Duration::from_secs(90);

pub(crate) fn try_all(farm: &mut Farm, cases: &mut Cases) {
    invites(farm, cases);
    unknown_invite(farm, cases);
    rights(farm, cases);
    peers(farm, cases);
    revoked(farm, cases);
    starts(farm, cases);
}

/// A home of no studio.
fn new_home(farm: &Farm, name: &str) -> PathBuf {
    farm.folder().join(name)
}

fn invites(farm: &Farm, cases: &mut Cases) {
    let home = new_home(farm, "stranger");
    let join = |code: &str| Call::new(&home, &["join", code, "--name", "stranger"]).run();

    let invite = farm.node(1).ask(&["invite", "--ttl", "1s"]);
    let code = invite["code"].as_str().expect("an invite has a code").to_owned();
    let expires = invite["expires"].as_u64().expect("an invite says when it ends");
    for wrong in ["", "hello", "weft1abcdef", &code[..code.len() - 1], &format!("{code}a")] {
        cases.refused(farm, "garbled invite", || join(wrong));
    }
    wait_for(START, "the invite expires", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
        (now.as_secs() > expires + 1).then_some(())
    });
    cases.refused(farm, "expired invite", || join(&code));

    let code = farm.invite(&[]);
    _ = Call::new(&new_home(farm, "friend"), &["join", &code, "--name", "friend"]).run().ok();
    cases.refused(farm, "used invite", || join(&code));
    cases.refused(farm, "founding or joining where a studio is already", || {
        Call::new(farm.node(2).home(), &["join", &code]).run()
    });
    cases.refused(farm, "founding or joining where a studio is already", || {
        Call::new(farm.node(2).home(), &["init", "--studio", "Mine"]).run()
    });
    for args in [&["jobs"][..], &["up"], &["--peer", &farm.node(1).address(), "jobs"]] {
        let case = "commands in a home without a studio";
        cases.refused(farm, case, || Call::new(&home, args).run());
    }
    cases.require(!home.join("certificate").exists(), "a stranger has a certificate");
}

/// A node of a studio of its own.
struct Lone {
    home: PathBuf,
    up: Option<Running>,
}

impl Lone {
    fn found(farm: &Farm, name: &str) -> Self {
        let home = new_home(farm, name);
        _ = Call::new(&home, &["init", "--studio", name]).run().ok();
        Self { home, up: None }
    }

    fn start(&mut self) {
        let port = std::fs::read_to_string(self.home.join("port")).unwrap_or_default();
        let listen = format!("127.0.0.1:{}", if port.is_empty() { "0" } else { port.trim() });
        self.up = Some(Call::new(&self.home, &["up", "--listen", &listen]).start());
        wait_for(START, "a lone node answers", || {
            (Call::new(&self.home, &["status"]).run().status == 0).then_some(())
        });
    }

    fn invite(&self) -> String {
        let code = Call::new(&self.home, &["invite"]).run().ok().stdout;
        code.trim().to_owned()
    }
}

/// An invite of a node that has forgotten it, and of one that isn't there.
fn unknown_invite(farm: &Farm, cases: &mut Cases) {
    let mut lone = Lone::found(farm, "lone");
    lone.start();
    let code = lone.invite();
    let join = || Call::new(&new_home(farm, "guest"), &["join", &code]).run();
    lone.up = None;
    cases.refused(farm, "the inviting node can't be reached", join);
    std::fs::remove_dir_all(lone.home.join("store")).expect("a store can be removed");
    lone.start();
    cases.refused(farm, "invite that the inviting node doesn't know", join);
}

fn rights(farm: &Farm, cases: &mut Cases) {
    let worker = farm.node(2);
    let case = "inviting or revoking on a node that is no admin's";
    cases.refused(farm, case, || worker.run(&["invite"]));
    cases.refused(farm, case, || worker.run(&["revoke", "node1"]));
    let case = "inviting an admin without the recovery key";
    cases.refused(farm, case, || farm.node(1).run(&["invite", "--role", "admin"]));
    let key = farm.recovery_key();
    let first = if key.starts_with('A') { "B" } else { "A" };
    let other = format!("{first}{}", &key[1..]);
    let case = "another recovery key";
    cases.refused(farm, case, || {
        farm.node(1).run(&["invite", "--role", "admin", "--recovery-key", &other])
    });
    cases.refused(farm, case, || worker.run(&["recover", &other]));

    let file = write_file(farm.folder().join("bad/file"), "not a folder");
    let scene = farm.scene("fine", 16, 1);
    let case = "inviting, revoking, adding or analysing files on another machine (`--peer`)";
    let peer = ["--peer", "node1"];
    cases.refused(farm, case, || worker.call(&peer).arg("invite").run());
    cases.refused(farm, case, || worker.call(&peer).args(&["revoke", "node2"]).run());
    cases.refused(farm, case, || worker.call(&peer).arg("add").arg(&file).run());
    // `weft analyse` needs no node and asks none: whoever speaks HTTP is refused all the same.
    _ = worker.call(&peer).arg("analyse").arg(&scene).run();
}

fn peers(farm: &Farm, cases: &mut Cases) {
    let lone = Lone::found(farm, "other");
    let address = farm.node(1).address();
    let ask = |peer: &str| Call::new(&lone.home, &["--peer", peer, "jobs"]).run();
    cases.refused(farm, "certificate of another studio", || ask(&address));
    // A port that is free now may be another's soon; nobody is given this one.
    cases.refused(farm, "peer that doesn't answer", || ask("127.0.0.1:1"));
    let case = "name of a node that isn't there";
    cases.refused(farm, case, || farm.node(2).run(&["--peer", "nobody", "jobs"]));
}

fn revoked(farm: &Farm, cases: &mut Cases) {
    // It joined before, and never ran a node.
    let home = new_home(farm, "friend");
    let address = farm.node(1).address();
    let ask = || Call::new(&home, &["--peer", &address, "jobs"]).run();
    let before = ask();
    cases.require(before.status == 0, &format!("a member without a node: {before:?}"));
    let revoke = farm.node(1).run(&["revoke", "friend", "--reason", "a test"]);
    cases.require(revoke.status == 0, &format!("revoking a member without a node: {revoke:?}"));
    cases.refused(farm, "revoked certificate", ask);
}

/// Tries to run a node that must give up by itself.
fn up(home: &Path, options: &[&str]) -> Output {
    Call::new(home, &["up"]).args(options).within(START).run()
}

fn starts(farm: &Farm, cases: &mut Cases) {
    let running = farm.node(1);
    cases.refused(farm, "node started twice on one home", || {
        up(running.home(), &["--listen", "127.0.0.1:0"])
    });
    cases.require(running.get("/v1/status").is_some(), "the first of two nodes suffered");

    let home = Lone::found(farm, "second").home;
    let format = write_file(home.join("store/FORMAT"), "weft store 99\n");
    let before = listing(&home);
    cases.refused(farm, "store of a newer version", || up(&home, &["--listen", "127.0.0.1:0"]));
    let unlocked: Vec<String> =
        listing(&home).into_iter().filter(|path| !path.ends_with("lock")).collect();
    cases.require(unlocked == before, &format!("a newer store was changed: {unlocked:?}"));
    let kept = std::fs::read_to_string(&format).is_ok_and(|text| text == "weft store 99\n");
    cases.require(kept, "a newer store's format was changed");
    std::fs::remove_dir_all(home.join("store")).expect("a store can be removed");

    let taken = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let taken = taken.local_addr().map(|address| (taken, address.to_string()));
    let (_held, address) = taken.expect("it is bound");
    cases.refused(farm, "port taken", || up(&home, &["--listen", &address]));
    for api in [address.as_str(), "0.0.0.0:0", "nonsense"] {
        let options = ["--listen", "127.0.0.1:0", "--api", api];
        cases.refused(farm, "API address taken, or not loopback", || up(&home, &options));
    }
    let config = home.join("weft.toml");
    for text in ["[node]\ncolour = 3\n", "[node\n", "[engine.x]\nargs = []\n"] {
        write_file(config.clone(), text);
        cases.refused(farm, "mistake in `weft.toml`", || up(&home, &["--listen", "127.0.0.1:0"]));
    }
    std::fs::remove_file(config).expect("a file can be removed");
    // After all that, it starts.
    let mut lone = Lone { home, up: None };
    lone.start();
}

/// All files below a folder.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => found.extend(listing(&entry.path())),
            false => found.push(entry.path().display().to_string()),
        }
    }
    found.sort();
    found
}
