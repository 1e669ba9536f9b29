//! Whether a binary of ours is well, asked of its own probes: for containers that have no HTTP client in them.

use std::net::IpAddr;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether it works at all.
    Live,
    /// Whether it does its work.
    Ready,
}

/// It is not well, or nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("{url} is not well\n  expected: 200 within {} s\n  got:      {got}", PATIENCE.as_secs())]
pub struct Unwell {
    url: String,
    got: String,
}

/// Asks a server at `http://HOST:PORT`.
///
/// # Errors
/// [`Unwell`]: another answer than 200, or none in time.
pub fn require_well(url: &str, probe: Probe) -> Result<(), Unwell> {
    let path = match probe {
        Probe::Live => "/livez",
        Probe::Ready => "/readyz",
    };
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let got = match agent.get(&url).call() {
        Ok(answer) if answer.status().as_u16() == 200 => return Ok(()),
        Ok(answer) => answer.status().to_string(),
        Err(error) => error.to_string(),
    };
    Err(Unwell { url, got })
}

/// The address of a server on this machine that listens on `port` of `bind`.
pub fn own_url(bind: &str, port: u16) -> String {
    let bare = bind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bind);
    match bare.parse() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => format!("http://127.0.0.1:{port}"),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => format!("http://[::1]:{port}"),
        Ok(IpAddr::V6(ip)) => format!("http://[{ip}]:{port}"),
        _ => format!("http://{bare}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn answering(line: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = [0; 1_024];
            let length = client.read(&mut asked).unwrap();
            client.write_all(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (own_url("0.0.0.0", port), thread)
    }

    #[test]
    fn only_two_hundred_is_well() {
        let (url, thread) = answering("200 OK");
        require_well(&url, Probe::Live).unwrap();
        assert!(thread.join().unwrap().starts_with("GET /livez "));
        let (url, thread) = answering("503 Service Unavailable");
        let told = require_well(&url, Probe::Ready).unwrap_err().to_string();
        assert!(told.contains("503") && told.contains("/readyz"), "{told}");
        assert!(thread.join().unwrap().starts_with("GET /readyz "));
        require_well("http://127.0.0.1:1", Probe::Live).unwrap_err();
    }

    #[test]
    fn a_server_on_every_address_is_asked_on_this_machine() {
        assert_eq!(own_url("0.0.0.0", 1), "http://127.0.0.1:1");
        assert_eq!(own_url("[::]", 1), "http://[::1]:1");
        assert_eq!(own_url("::1", 1), "http://[::1]:1");
        assert_eq!(own_url("engine", 1), "http://engine:1");
    }
}
