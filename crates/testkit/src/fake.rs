//! A server that does a real login and then follows a script: it records what it receives, and the test decides what it answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use wire::auth::{Challenge, Plugin, ServerLogin, ServerStep};
use wire::error_code::ER_ACCESS_DENIED_ERROR;
use wire::result::ErrOwned;
use wire::{Capabilities, Command, Frame, Greeting, Login, StatusFlags, command};

use crate::answer::{Answer, TEST_NONCE};
use crate::raw::USUAL;
use crate::within_patience;

const LARGEST: usize = 256 << 20;

/// One thing that the server does to answer a command; what follows a [`Action::Close`] is not done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send a whole answer (text protocol), its sequence going on from the one before.
    Answer(Answer),
    /// Send bytes as they are.
    Bytes(Vec<u8>),
    /// Do nothing for this long.
    Pause(Duration),
    /// Close the connection.
    Close,
    /// Read nothing more and send nothing more, but keep the connection.
    Hang,
}

/// A command that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The connection it came over, from 0 in the order of acceptance.
    pub connection: usize,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Received {
    /// The text of a `COM_QUERY` or `COM_STMT_PREPARE`.
    pub fn sql(&self) -> Option<&str> {
        match Command::parse(&self.payload, Capabilities::empty()) {
            Ok(Command::Query { sql, .. } | Command::Prepare(sql)) => std::str::from_utf8(sql).ok(),
            _ => None,
        }
    }
}

/// A command as a script sees it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The connection it came over, from 0 in the order of acceptance.
    pub connection: usize,
    /// Its number on that connection, from 0.
    pub number: usize,
    /// Its payload.
    pub payload: &'a [u8],
    /// What was negotiated with the client.
    pub capabilities: Capabilities,
}

impl<'a> Call<'a> {
    /// The command.
    pub fn command(&self) -> Command<'a> {
        Command::parse(self.payload, Capabilities::empty()).expect("a command")
    }

    /// The text of a `COM_QUERY`; empty for others.
    pub fn sql(&self) -> &'a str {
        match self.command() {
            Command::Query { sql, .. } => std::str::from_utf8(sql).expect("UTF-8"),
            _ => "",
        }
    }
}

/// How the server greets, and which account it lets in.
#[derive(Debug, Clone)]
pub struct Character {
    /// Its version, MariaDB's prefix included.
    pub version: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The plugin that it announces.
    pub plugin: Plugin,
    /// The account's password, whatever its name.
    pub password: String,
    /// So many connections may log in; later ones are refused. `None`: all.
    pub logins: Option<usize>,
    /// Instead of a greeting, send this and close.
    pub refusal: Option<ErrOwned>,
    /// Accept and say nothing at all.
    pub is_mute: bool,
    /// Leave the logins of all other users unanswered, until [`FakeServer::answer_logins`].
    pub answers_only: Option<String>,
}

impl Default for Character {
    /// A MySQL server with the native plugin and the password "secret".
    fn default() -> Self {
        Self {
            version: "8.4.0".to_owned(),
            capabilities: USUAL | Capabilities::CONNECT_WITH_DB | Capabilities::CONNECT_ATTRS | Capabilities::FOUND_ROWS,
            plugin: Plugin::Native,
            password: "secret".to_owned(),
            logins: None,
            refusal: None,
            is_mute: false,
            answers_only: None,
        }
    }
}

/// What the server has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections accepted.
    pub accepted: usize,
    /// Connections that are open.
    pub open: usize,
    /// Logins that are left unanswered now.
    pub unanswered: usize,
    /// Accounts that logged in, with the schema asked for.
    pub logins: Vec<(String, Option<String>)>,
    /// Commands, in the order in which they came.
    pub received: Vec<Received>,
}

type Script = dyn Fn(Call<'_>) -> Vec<Action> + Send + Sync;

/// A running server. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    answers: Arc<Semaphore>,
    accepting: JoinHandle<()>,
}

impl FakeServer {
    /// Starts on a loopback port that the system chooses. `script` answers every command but `COM_QUIT`.
    pub async fn start(character: Character, script: impl Fn(Call<'_>) -> Vec<Action> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, watching) = watch::channel(Seen::default());
        let answers = Arc::new(Semaphore::new(0));
        let shared =
            Arc::new(Shared { character, script: Box::new(script), seen: Mutex::new(seen), answers: Arc::clone(&answers) });
        let accepting = tokio::spawn(accept(listener, shared));
        Self { address, seen: watching, answers, accepting }
    }

    /// A server with the default character that answers every command with OK.
    pub async fn always_ok() -> Self {
        Self::start(Character::default(), |_| vec![Action::Answer(Answer::ok())]).await
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until it has seen what `is_enough` asks for.
    pub async fn wait_until(&self, what: &str, is_enough: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        let seen = within_patience(what, seen.wait_for(is_enough)).await.expect("the server runs");
        seen.clone()
    }

    /// Answers so many of the logins that are left unanswered, or of those to come.
    pub fn answer_logins(&self, count: usize) {
        self.answers.add_permits(count);
    }

    /// Stops listening and cuts all connections.
    pub async fn die(mut self) {
        self.accepting.abort();
        // Its end drops the listener and the connections.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Shared {
    character: Character,
    script: Box<Script>,
    seen: Mutex<watch::Sender<Seen>>,
    answers: Arc<Semaphore>,
}

impl Shared {
    /// Waits until the login of this user is to be answered.
    async fn answer_is_due(&self, user: &[u8]) {
        if self.character.answers_only.as_ref().is_none_or(|only| only.as_bytes() == user) {
            return;
        }
        self.note(|seen| seen.unanswered += 1);
        self.answers.acquire().await.expect("never closed").forget();
        self.note(|seen| seen.unanswered -= 1);
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.lock().expect("no panic").send_modify(change);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (stream, _) = listener.accept().await.expect("accepts");
        stream.set_nodelay(true).expect("nodelay");
        shared.note(|seen| {
            seen.accepted += 1;
            seen.open += 1;
        });
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut connection = Connection { stream, buf: BytesMut::new(), sequence: 0, number };
            // The client is free to leave at any point.
            let _ = connection.serve(&shared).await;
            drop(connection);
            shared.note(|seen| seen.open -= 1);
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Connection {
    stream: TcpStream,
    buf: BytesMut,
    sequence: u8,
    number: usize,
}

/// The connection has ended, closed by either side.
struct Ended;

impl From<std::io::Error> for Ended {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Connection {
    async fn serve(&mut self, shared: &Shared) -> Result<(), Ended> {
        if shared.character.is_mute {
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = &shared.character.refusal {
            return self.answer(&Answer::Err(refusal.clone()), Capabilities::empty()).await;
        }
        let capabilities = self.log_in(shared).await?;
        for number in 0.. {
            self.sequence = 0;
            let payload = self.receive().await?;
            let received = Received { connection: self.number, payload };
            shared.note(|seen| seen.received.push(received.clone()));
            if received.payload.first() == Some(&command::COM_QUIT) {
                return Ok(());
            }
            let call = Call { connection: self.number, number, payload: &received.payload, capabilities };
            for action in (shared.script)(call) {
                match action {
                    Action::Answer(answer) => self.answer(&answer, capabilities).await?,
                    Action::Bytes(bytes) => self.stream.write_all(&bytes).await?,
                    Action::Pause(time) => tokio::time::sleep(time).await,
                    Action::Close => return Ok(()),
                    Action::Hang => std::future::pending().await,
                }
            }
        }
        Ok(())
    }

    async fn log_in(&mut self, shared: &Shared) -> Result<Capabilities, Ended> {
        let character = &shared.character;
        let mut payload = BytesMut::new();
        let greeting = Greeting {
            server_version: character.version.clone().into_bytes(),
            connection_id: u32::try_from(self.number).expect("few connections") + 1,
            nonce: TEST_NONCE,
            capabilities: character.capabilities,
            charset: 45,
            status: StatusFlags::AUTOCOMMIT,
            auth_plugin: character.plugin.name().as_bytes().to_vec(),
        };
        greeting.encode(&mut payload);
        self.send(&payload).await?;
        let payload = self.receive().await?;
        let login = Login::decode(&payload).map_err(|_| Ended)?;
        let capabilities = login.capabilities & character.capabilities;
        shared.answer_is_due(login.user).await;
        let challenge =
            Challenge { nonce: TEST_NONCE, announced: Some(character.plugin), force_full: false, secure_transport: false };
        let has_account = character.logins.is_none_or(|logins| self.number < logins);
        let password = has_account.then_some(character.password.as_bytes());
        let (mut proof, mut step) = ServerLogin::start(challenge, &login, password);
        loop {
            step = match step {
                ServerStep::Send(payload) => {
                    self.send(&payload).await?;
                    proof.on_packet(&self.receive().await?)
                }
                ServerStep::Accepted { send_first } => {
                    if let Some(payload) = send_first {
                        self.send(&payload).await?;
                    }
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    shared.note(|seen| seen.logins.push((text(login.user), login.schema.map(text))));
                    self.answer(&Answer::ok(), capabilities).await?;
                    return Ok(capabilities);
                }
                _ => {
                    self.answer(&Answer::err(ER_ACCESS_DENIED_ERROR, *b"28000", "Access denied"), capabilities).await?;
                    return Err(Ended);
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            match wire::frame(&self.buf, self.sequence, LARGEST) {
                Frame::Whole { payload, sequence, length } => {
                    let payload = payload.into_owned();
                    self.sequence = sequence.wrapping_add(1);
                    self.buf.advance(length);
                    return Ok(payload);
                }
                Frame::Incomplete { .. } => {}
                Frame::TooLarge { .. } | Frame::OutOfOrder { .. } => return Err(Ended),
            }
            if self.stream.read_buf(&mut self.buf).await? == 0 {
                return Err(Ended);
            }
        }
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), Ended> {
        let mut out = BytesMut::new();
        self.sequence = wire::put_packet(&mut out, self.sequence, payload);
        Ok(self.stream.write_all(&out).await?)
    }

    async fn answer(&mut self, answer: &Answer, capabilities: Capabilities) -> Result<(), Ended> {
        let mut out = BytesMut::new();
        self.sequence = answer.put(&mut out, self.sequence, capabilities);
        Ok(self.stream.write_all(&out).await?)
    }
}
