//! What the command asks the engine for.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::host;

/// Passes connections on to the engine and keeps what clients say.
pub(crate) struct Tap {
    address: String,
    said: Arc<Mutex<Vec<u8>>>,
    _folder: tempfile::TempDir,
}

impl Tap {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tap.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let engine = UnixStream::connect(host().trim_start_matches("unix://")).unwrap();
                pass(
                    client.try_clone().unwrap(),
                    engine.try_clone().unwrap(),
                    Some(Arc::clone(&heard)),
                );
                pass(engine, client, None);
            }
        });
        Self { address: format!("unix://{}", path.display()), said, _folder: folder }
    }

    /// The address for clients.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Forgets what was said so far.
    pub(crate) fn forget(&self) {
        self.said.lock().unwrap().clear();
    }

    /// The request lines that clients sent.
    pub(crate) fn requests(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let text = String::from_utf8_lossy(&said);
        let lines = text.split("\r\n").filter(|line| line.ends_with(" HTTP/1.1"));
        lines.map(str::to_owned).collect()
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, keep: Option<Arc<Mutex<Vec<u8>>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                break;
            }
            if let Some(keep) = &keep {
                keep.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
