//! A raw connection to an endpoint, whatever it is.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ailtire_connect::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::EngineError;
use crate::endpoint::{Endpoint, EndpointOptions, SshTarget};

/// Makes connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Dial {
    endpoint: Arc<Endpoint>,
    tls: Option<TlsConnector>,
    ssh: PathBuf,
    timeout: Duration,
}

impl Dial {
    /// Reads the files that TLS needs; connects to nothing yet.
    pub(crate) fn new(endpoint: Endpoint, options: &EndpointOptions) -> Result<Self, EngineError> {
        let tls = match &endpoint {
            Endpoint::Tcp { tls: Some(files), .. } => Some(crate::tls::connector(files)?),
            _ => None,
        };
        Ok(Self {
            endpoint: Arc::new(endpoint),
            tls,
            ssh: options.ssh_program.clone(),
            timeout: options.connect_timeout,
        })
    }

    /// The endpoint as text.
    pub(crate) fn describe(&self) -> String {
        self.endpoint.to_string()
    }

    /// How long connecting may take.
    #[cfg(feature = "build")]
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> Result<Stream, EngineError> {
        let connecting: Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>> =
            match &*self.endpoint {
                Endpoint::Unix(path) => {
                    Box::pin(async move { Ok(Stream::new(UnixStream::connect(path).await?)) })
                }
                Endpoint::Tcp { host, port, .. } => Box::pin(self.dial_tcp(host, *port)),
                Endpoint::Ssh(target) => {
                    Box::pin(async move { Ok(Stream::new(SshStream::spawn(&self.ssh, target)?)) })
                }
            };
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn dial_tcp(&self, host: &str, port: u16) -> io::Result<Stream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // So that a build does not wait for ever for a host that is gone.
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        let Some(tls) = &self.tls else { return Ok(Stream::new(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Stream::new(tls.connect(name, stream).await?))
    }

    fn unreachable(&self, error: &io::Error) -> EngineError {
        let endpoint = self.describe();
        match error.kind() {
            io::ErrorKind::PermissionDenied => EngineError::Permission { endpoint },
            io::ErrorKind::NotFound if matches!(*self.endpoint, Endpoint::Ssh(_)) => {
                let why = "there is no program `ssh` on the path".to_owned();
                EngineError::Unreachable { endpoint, why }
            }
            io::ErrorKind::NotFound => {
                EngineError::Unreachable { endpoint, why: "there is no such socket".to_owned() }
            }
            io::ErrorKind::ConnectionRefused => {
                EngineError::Unreachable { endpoint, why: "nothing listens there".to_owned() }
            }
            _ => EngineError::Unreachable { endpoint, why: error.to_string() },
        }
    }

    /// The error for an engine that says nothing.
    pub(crate) fn timed_out(&self) -> EngineError {
        EngineError::Unreachable {
            endpoint: self.describe(),
            why: format!("no answer within {} s", self.timeout.as_secs_f32()),
        }
    }
}

/// `ssh … docker system dial-stdio`, whose standard streams are the engine's socket.
struct SshStream {
    input: ChildStdin,
    output: ChildStdout,
    /// What it writes on standard error.
    complaint: Arc<Mutex<String>>,
    /// Ends when all of that was read, or soon.
    listening: Pin<Box<dyn Future<Output = ()> + Send>>,
    listened: bool,
    // Killed when the stream is dropped.
    _child: Child,
}

/// More of what `ssh` has to say does not help anybody.
const COMPLAINT_LIMIT: usize = 2_000;
/// A master connection of `ssh` may keep standard error open for ever.
const COMPLAINT_TIME: Duration = Duration::from_secs(1);

impl SshStream {
    fn spawn(program: &Path, target: &SshTarget) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(ssh_arguments(target));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("a standard stream of `ssh` is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut errors = child.stderr.take().ok_or_else(missing)?;
        let complaint = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&complaint);
        // Ends with the child, which ends with the stream.
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = errors.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < COMPLAINT_LIMIT {
                    kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }
        });
        let listening = Box::pin(async move {
            let _ = tokio::time::timeout(COMPLAINT_TIME, reading).await;
        });
        Ok(Self { input, output, complaint, listening, listened: false, _child: child })
    }

    /// What `ssh` said about the end of its streams, once it said all; `None` for nothing.
    fn poll_complaint(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Error>> {
        if !self.listened {
            ready!(self.listening.as_mut().poll(context));
            self.listened = true;
        }
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let text = complaint.trim();
        Poll::Ready((!text.is_empty()).then(|| io::Error::other(format!("ssh: {text}"))))
    }
}

fn ssh_arguments(target: &SshTarget) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["-o", "ConnectTimeout=30", "-T"].into_iter().map(str::to_owned).collect();
    if let Some(user) = &target.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = target.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), target.host.clone(), "docker".to_owned()]);
    if let Some(socket) = &target.socket {
        arguments.push(format!("--host=unix://{socket}"));
    }
    arguments.extend(["system".to_owned(), "dial-stdio".to_owned()]);
    arguments
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.output).poll_read(context, buffer));
        let ended = buffer.filled().len() == before && buffer.remaining() > 0;
        if read.is_ok() && !ended {
            return Poll::Ready(read);
        }
        match ready!(self.poll_complaint(context)) {
            Some(complaint) => Poll::Ready(Err(complaint)),
            None => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.input).poll_write(context, bytes));
        if written.is_ok() {
            return Poll::Ready(written);
        }
        match ready!(self.poll_complaint(context)) {
            Some(complaint) => Poll::Ready(Err(complaint)),
            None => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_called_as_docker_calls_it() {
        let target = SshTarget {
            user: Some("me".to_owned()),
            host: "far".to_owned(),
            port: Some(2222),
            socket: Some("/run/d.sock".to_owned()),
        };
        assert_eq!(
            ssh_arguments(&target).join(" "),
            "-o ConnectTimeout=30 -T -l me -p 2222 -- far docker --host=unix:///run/d.sock system \
             dial-stdio"
        );
    }

    #[tokio::test]
    async fn a_missing_socket_is_unreachable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no.sock");
        let dial = Dial::new(Endpoint::Unix(path), &EndpointOptions::default()).unwrap();
        let error = dial.dial().await.err().unwrap();
        assert!(error.to_string().ends_with("there is no such socket"), "{error}");
    }
}
