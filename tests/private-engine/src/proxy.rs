//! What stands before a server, or for one, and has the faults that a real one can't be made to
//! show.

use std::io::{Cursor, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Tried};

/// Bodies up to here are read before it is decided what becomes of their requests.
const SHORT: u64 = 64 * 1024;
/// How long a server that dribbles waits between two bytes.
const PAUSE: Duration = Duration::from_millis(100);
/// The first byte of TLS.
const HANDSHAKE: u8 = 0x16;

/// A request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `HEAD`, ….
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Its body, where it has a short one whose length it says.
    pub body: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on.
    Pass,
    /// It is passed on, and these header lines are added to the answer.
    PassWith(String),
    /// It gets this answer instead, see [`answer`].
    Answer(String),
    /// It is passed on; the connection breaks after so many bytes of its body.
    CutRequest(u64),
    /// It is passed on; the connection breaks after so many bytes of the answer.
    CutAnswer(u64),
    /// It is passed on up to so many bytes of its body, and then nothing happens until
    /// [`Proxy::let_go`].
    Hold(u64),
    /// It gets no answer.
    Silence,
    /// It gets an answer that does not come to its end.
    Dribble,
}

/// An answer, whole: `status` as `404 Not Found`, header lines with their ends, a body.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

type Decide = Box<dyn FnMut(&Asked) -> Fate + Send>;

/// An HTTP server whose requests meet the fate that is decided for each; dropping it stops it.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    decide: Mutex<Decide>,
    asked: Mutex<Vec<Asked>>,
    held: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Proxy {
    /// Listens on a free port of `address`, and passes everything on to `upstream`.
    ///
    /// # Errors
    /// It can't listen there.
    pub fn start(address: Ipv4Addr, upstream: &str) -> Result<Self, Error> {
        let listening = || format!("listening on {address}");
        let listener = TcpListener::bind((address, 0)).tried(listening)?;
        let address = listener.local_addr().tried(listening)?.to_string();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            decide: Mutex::new(Box::new(|_| Fate::Pass)),
            asked: Mutex::default(),
            held: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if served.stopped.load(Ordering::Acquire) {
                    return;
                }
                let served = Arc::clone(&served);
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(served.serve(client)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on requests meet the fate that `decide` says.
    pub fn decide(&self, decide: impl FnMut(&Asked) -> Fate + Send + 'static) {
        *self.shared.decide.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(decide);
    }

    /// What was asked since this was asked for the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Breaks the connections of requests that are held.
    pub fn let_go(&self) {
        for held in self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One whose client went away is broken.
            let _ = held.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.let_go();
        // Its listener waits for the next client; one that can't come finds nobody waiting.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut head = vec![0];
        client.read_exact(&mut head)?;
        if head[0] == HANDSHAKE {
            return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
        read_head(&mut client, &mut head)?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut words = text.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut body = Vec::new();
        if let Some(length) = length(&text).filter(|length| *length <= SHORT) {
            (&mut client).take(length).read_to_end(&mut body)?;
        }
        let asked = Asked { method, path, body };
        let fate = self.decide.lock().unwrap_or_else(PoisonError::into_inner)(&asked);
        let body = asked.body.clone();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        match fate {
            Fate::Answer(answer) => client.write_all(answer.as_bytes()),
            Fate::Silence => drain(&mut client),
            Fate::Dribble => dribble(&mut client),
            fate => self.pass(client, &with_line(&text, "Connection: close\r\n"), body, &fate),
        }
    }

    fn pass(
        &self,
        mut client: TcpStream,
        head: &str,
        body: Vec<u8>,
        fate: &Fate,
    ) -> std::io::Result<()> {
        let mut server = TcpStream::connect(&self.upstream)?;
        server.write_all(head.as_bytes())?;
        let (most, more) = match fate {
            Fate::CutAnswer(most) => (*most, None),
            Fate::PassWith(lines) => (u64::MAX, Some(lines.clone())),
            _ => (u64::MAX, None),
        };
        let (from, to) = (server.try_clone()?, client.try_clone()?);
        let back = std::thread::spawn(move || drop(pass_answer(from, to, most, more)));
        let most = match fate {
            Fate::CutRequest(most) | Fate::Hold(most) => *most,
            _ => u64::MAX,
        };
        let sent = client.try_clone()?;
        let passed = std::io::copy(&mut Cursor::new(body).chain(sent).take(most), &mut server);
        if matches!(fate, Fate::Hold(_)) {
            let kept = client.try_clone()?;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            let _ = drain(&mut client);
        }
        if most < u64::MAX {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        let _ = back.join();
        passed.map(drop)
    }
}

/// Passes an answer on, and then ends both connections.
fn pass_answer(
    mut server: TcpStream,
    mut client: TcpStream,
    most: u64,
    more: Option<String>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    if let Some(more) = more {
        read_head(&mut server, &mut head)?;
        head = with_line(&String::from_utf8_lossy(&head), &more).into_bytes();
    }
    let copied = std::io::copy(&mut Cursor::new(head).chain(&mut server).take(most), &mut client);
    client.shutdown(Shutdown::Both)?;
    copied.map(drop)
}

/// Reads up to the empty line.
fn read_head(from: &mut TcpStream, head: &mut Vec<u8>) -> std::io::Result<()> {
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

/// `head` with `line` after its first one.
fn with_line(head: &str, line: &str) -> String {
    head.replacen("\r\n", &format!("\r\n{line}"), 1)
}

fn length(head: &str) -> Option<u64> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

/// Waits until the client goes away.
fn drain(client: &mut TcpStream) -> std::io::Result<()> {
    std::io::copy(client, &mut std::io::sink()).map(drop)
}

fn dribble(client: &mut TcpStream) -> std::io::Result<()> {
    client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
    client.set_read_timeout(Some(PAUSE))?;
    loop {
        match client.read(&mut [0; 64]) {
            Ok(0) => return Ok(()),
            // Nothing came within the pause: that is the pace.
            _ => client.write_all(b" ")?,
        }
    }
}
