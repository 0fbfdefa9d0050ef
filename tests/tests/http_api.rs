//! The HTTP API on loopback: who is answered, and what.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use weft_tests::{Farm, Node};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node's door on loopback.
struct Door {
    address: String,
    token: String,
}

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Door {
    fn of(node: &Node) -> Self {
        let read = |name: &str| {
            let text = std::fs::read_to_string(node.home().join(name));
            text.unwrap_or_else(|error| panic!("{name}: {error}")).trim().to_owned()
        };
        Self { address: read("api.address"), token: read("api.token") }
    }

    /// Sends a request with these headers and no others, except for what closes the connection.
    fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeouts can be set");
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).expect("it takes requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.expect("an answer has a status"),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

impl Answer {
    fn json(&self) -> Value {
        let json = serde_json::from_str(&self.body);
        json.unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }

    /// The error in it, of which a script can tell the kind and a person the reason.
    fn error(&self) -> Value {
        let error = self.json()["error"].take();
        for field in ["code", "message", "hint"] {
            assert!(error[field].is_string(), "{field}: {error:#}");
        }
        assert!(error["exit"].is_u64() && error["details"].is_array(), "{error:#}");
        error
    }
}

#[test]
fn only_who_holds_the_token_and_is_no_foreign_page_is_answered() {
    let farm = Farm::found(1);
    let door = Door::of(farm.node(1));
    let (host, bearer) = (door.address.as_str(), door.bearer());
    let (host, token) = (("Host", host), ("Authorization", bearer.as_str()));

    let health = door.ask("GET /health", &[host], "");
    assert_eq!((health.status, &health.json()["status"]), (200, &"ok".into()));
    assert_eq!(door.ask("GET /v1/status", &[host, token], "").status, 200);

    // As long as the right one, and never the right one: it ends in another letter.
    let other = if door.token.ends_with('x') { 'y' } else { 'x' };
    let wrong = format!("Bearer {}{other}", &door.token[..door.token.len() - 1]);
    let basic = bearer.replace("Bearer", "Basic");
    let port = door.address.rsplit(':').next().expect("an address has a port");
    let rebound = format!("weft.example:{port}");
    let origin = format!("http://{}", door.address);
    for (who, headers) in [
        ("no token", &[host][..]),
        ("another token", &[host, ("Authorization", &wrong)]),
        ("an empty token", &[host, ("Authorization", "Bearer ")]),
        ("another way to show it", &[host, ("Authorization", &basic)]),
        ("no host", &[token]),
        ("a name that was pointed here", &[("Host", &rebound), token]),
        ("another port", &[("Host", "127.0.0.1:1"), token]),
        ("a foreign page", &[host, token, ("Origin", "http://evil.example")]),
        ("a page of a file", &[host, token, ("Origin", "null")]),
        ("a page of another port", &[host, token, ("Origin", "http://127.0.0.1:8080")]),
        ("a foreign page's form", &[host, token, ("Sec-Fetch-Site", "cross-site")]),
        ("a page of a sibling domain", &[host, token, ("Sec-Fetch-Site", "same-site")]),
    ] {
        for path in ["/v1/status", "/v1/jobs", "/openapi.json", "/nothing/here"] {
            let answer = door.ask(&format!("GET {path}"), headers, "");
            // A request without a host is no HTTP/1.1; either refusal will do.
            assert!(matches!(answer.status, 400 | 403), "{who}: {path}: {}", answer.head);
            assert!(!answer.body.contains("Test Pictures"), "{who}: {path}: {}", answer.body);
            assert!(!answer.head.contains("access-control-"), "{who}: {}", answer.head);
            if answer.status == 403 {
                assert_eq!(answer.error()["code"], "refused", "{who}: {path}");
            }
        }
    }
    let foreign = door.ask("GET /health", &[("Host", &rebound)], "");
    assert_eq!(foreign.status, 403, "not even whether it lives");

    let own = door.ask("GET /v1/status", &[host, token, ("Origin", &origin)], "");
    assert_eq!(own.status, 200);
    assert!(!own.head.contains("access-control-"), "{}", own.head);
    let preflight =
        [host, ("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(door.ask("OPTIONS /v1/jobs", &preflight, "").status, 403);
}

#[test]
fn it_describes_itself_and_takes_json_alone() {
    let farm = Farm::found(1);
    let door = Door::of(farm.node(1));
    let bearer = door.bearer();
    let headers = [("Host", door.address.as_str()), ("Authorization", bearer.as_str())];
    let with = |kind: &'static str| [&headers[..], &[("Content-Type", kind)]].concat();

    let described = door.ask("GET /openapi.json", &headers, "").json();
    assert!(described["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    let paths = described["paths"].as_object().expect("it has paths");
    // Whatever it describes for reading, and needs nothing named, is there.
    let plain =
        paths.iter().filter(|(path, methods)| !path.contains('{') && methods.get("get").is_some());
    let mut read = 0;
    for (path, _) in plain {
        let answer = door.ask(&format!("GET {path}"), &headers, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.head.contains("application/json"), "{path}: {}", answer.head);
        _ = answer.json();
        read += 1;
    }
    assert!(read >= 8, "only {read} of {}", paths.len());

    let scene = farm.scene("ball", 16, 1);
    let job = json!({ "scene": scene, "frames": "1" }).to_string();
    for (kind, body) in [
        ("text/plain", job.as_str()),
        ("application/x-www-form-urlencoded", "scene=/etc/passwd"),
        ("application/json", "{\"scene\": "),
        ("application/json", "{\"colour\": 3}"),
        ("application/json", "[]"),
    ] {
        let answer = door.ask("POST /v1/jobs", &with(kind), body);
        assert!((400..500).contains(&answer.status), "{kind}: {}", answer.head);
        assert!(answer.json()["error"]["message"].is_string(), "{kind}: {}", answer.body);
    }
    assert_eq!(door.ask("GET /v1/jobs?all=true", &headers, "").json(), json!([]));

    let answer = door.ask("POST /v1/jobs", &with("application/json"), &job);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines: Vec<&str> = answer.body.lines().collect();
    assert!(answer.body.contains("\"result\""), "{lines:?}");
    assert_eq!(
        door.ask("GET /v1/jobs?all=true", &headers, "").json().as_array().map(Vec::len),
        Some(1)
    );

    // Who never heard the answer may ask again: the same nonce is the same job.
    let nonce = "0123456789abcdef".repeat(2);
    let once = json!({ "scene": scene, "frames": "1", "nonce": nonce }).to_string();
    let submit = || {
        let answer = door.ask("POST /v1/jobs", &with("application/json"), &once);
        let last = answer.body.lines().find(|line| line.contains("\"result\""));
        let last = last.unwrap_or_else(|| panic!("it is submitted: {}", answer.body));
        let document: Value = serde_json::from_str(last).expect("a line is a document");
        document["result"]["job"].as_str().expect("it is submitted").to_owned()
    };
    assert_eq!(submit(), submit());
    let bad = json!({ "scene": scene, "frames": "1", "nonce": "twice" }).to_string();
    let refused = door.ask("POST /v1/jobs", &with("application/json"), &bad);
    assert!(refused.body.contains("not 32 hex digits"), "{}", refused.body);
    let jobs = door.ask("GET /v1/jobs?all=true", &headers, "").json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(2));

    let missing = door.ask("GET /v1/jobs/nothing", &headers, "");
    assert_eq!((missing.status, &missing.error()["code"]), (404, &"not_found".into()));
    let nowhere = door.ask("GET /v1/nowhere", &headers, "");
    assert_eq!((nowhere.status, &nowhere.error()["code"]), (404, &"not_found".into()));
    // Just too long: the connection of who has much more to send may end before the answer is read.
    let long = "x".repeat(8 << 20);
    let answer =
        door.ask("POST /v1/store/has", &with("application/json"), &format!("[\"{long}\"]"));
    assert_eq!(answer.status, 413, "a body has an end: {}", answer.head);
}
