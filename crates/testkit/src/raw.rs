//! A client that speaks raw packets, so that a test can also send invalid ones.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::auth::{ClientLogin, ClientStep};
use wire::command;
use wire::result::{EOF_HEADER, ERR_HEADER, EofPacket, ErrOwned, ErrPacket, LOCAL_INFILE_HEADER, OK_HEADER, OkPacket, PrepareOk};
use wire::{Capabilities, Frame, Greeted, Greeting, Login, Put, Reader, StatusFlags};

use crate::answer::{Answer, Rows, TEXT_TYPE, Value, read_binary_row, read_definition, read_text_row, read_verdict};
use crate::within_patience;

/// The longest payload that a client takes in.
const LARGEST: usize = 256 << 20;

/// The capabilities of a usual client. A test adds or removes those that it is about.
pub const USUAL: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_STATEMENTS)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// No password that was encrypted.
const NO_PASSWORD: &[u8] = &[1; 256];

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct LoginAs {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What the client can do; what the server cannot is left out.
    pub capabilities: Capabilities,
    /// The collation.
    pub collation: u16,
    /// The schema to begin with.
    pub schema: Option<String>,
    /// The plugin to begin with; the greeting's if it is `None`.
    pub plugin: Option<String>,
}

impl LoginAs {
    /// A usual client with this account.
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            capabilities: USUAL,
            collation: 45,
            schema: None,
            plugin: None,
        }
    }
}

/// A statement that was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What the server said of it.
    pub ok: PrepareOk,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// A connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    buf: BytesMut,
    /// The sequence number that the next packet has, sent or received.
    sequence: u8,
    /// What the server greeted with.
    pub greeting: Greeting,
    /// What both sides can do; empty before the login.
    pub capabilities: Capabilities,
}

impl RawClient {
    /// Connects and reads the greeting; the error is the one that the server sent instead.
    pub async fn connect(server: SocketAddr) -> Result<Self, ErrOwned> {
        let stream = within_patience("a connection", TcpStream::connect(server)).await.expect("connects");
        stream.set_nodelay(true).expect("nodelay");
        let greeting = Greeting {
            server_version: Vec::new(),
            connection_id: 0,
            nonce: [0; 20],
            capabilities: Capabilities::empty(),
            charset: 0,
            status: StatusFlags::empty(),
            auth_plugin: Vec::new(),
        };
        let mut client = Self { stream, buf: BytesMut::new(), sequence: 0, greeting, capabilities: Capabilities::empty() };
        let payload = client.receive().await.expect("a greeting");
        match wire::decode_greeting(&payload).expect("a greeting") {
            Greeted::Greeting(greeting) => client.greeting = greeting,
            Greeted::Refused(err) => return Err(err),
        }
        Ok(client)
    }

    /// Connects and logs in; the error is the server's.
    pub async fn login(server: SocketAddr, login: &LoginAs) -> Result<Self, ErrOwned> {
        let mut client = Self::connect(server).await?;
        client.log_in(login).await?;
        Ok(client)
    }

    /// Logs in on a fresh connection. Panics where the server asks for a plugin that `wire` does not speak. Where it asks for the encrypted password it
    /// gets something else, and refuses.
    pub async fn log_in(&mut self, login: &LoginAs) -> Result<(), ErrOwned> {
        let mut greeting = self.greeting.clone();
        if let Some(plugin) = &login.plugin {
            greeting.auth_plugin = plugin.clone().into_bytes();
        }
        self.capabilities = login.capabilities & self.greeting.capabilities;
        self.capabilities.set(Capabilities::CONNECT_WITH_DB, login.schema.is_some());
        let mut proof = ClientLogin::start(login.password.as_bytes(), &greeting, false);
        let mut payload = BytesMut::new();
        let packet = Login {
            capabilities: self.capabilities,
            max_packet: 1 << 30,
            collation: login.collation,
            user: login.user.as_bytes(),
            auth_response: &proof.first_response(),
            schema: login.schema.as_deref().map(str::as_bytes),
            auth_plugin: Some(login.plugin.as_deref().unwrap_or(proof.plugin().name()).as_bytes()),
            attributes: None,
            zstd_level: 3,
        };
        packet.encode(&mut payload);
        self.send_next(&payload).await;
        loop {
            let payload = self.receive().await.expect("an answer to the login");
            match proof.on_packet(&payload, self.capabilities).expect("a login's packet") {
                ClientStep::Send(payload) => self.send_next(&payload).await,
                ClientStep::RequestPublicKey(request) => self.send_next(&[request]).await,
                ClientStep::EncryptPassword { .. } => self.send_next(NO_PASSWORD).await,
                ClientStep::Await => {}
                ClientStep::Done(_) => return Ok(()),
                ClientStep::Failed(err) => return Err(err),
                other @ (ClientStep::DeriveKey(_) | ClientStep::Unsupported(_)) => panic!("not for a test client: {other:?}"),
            }
        }
    }

    /// The stream after the login, for a test that goes on by itself. Panics if more than the login was read.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.buf.is_empty(), "there is more: {:?}", self.buf);
        self.stream
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        within_patience("the server to take bytes", self.stream.write_all(bytes)).await.expect("writes");
    }

    /// Sends a command: the sequence starts again at 0.
    pub async fn send_command(&mut self, payload: &[u8]) {
        self.sequence = 0;
        self.send_next(payload).await;
    }

    /// Sends a packet with the next sequence number.
    pub async fn send_next(&mut self, payload: &[u8]) {
        let mut out = BytesMut::new();
        self.sequence = wire::put_packet(&mut out, self.sequence, payload);
        self.send_bytes(&out).await;
    }

    /// Starts the sequence of a response to a command that was sent as bytes.
    pub fn expect_response(&mut self) {
        self.sequence = 1;
    }

    /// Reads one logical packet; panics if its sequence number is wrong.
    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match wire::frame(&self.buf, self.sequence, LARGEST) {
                Frame::Whole { payload, sequence, length } => {
                    let payload = payload.into_owned();
                    self.sequence = sequence.wrapping_add(1);
                    self.buf.advance(length);
                    return Ok(payload);
                }
                Frame::Incomplete { needed } => self.buf.reserve(needed.saturating_sub(self.buf.len())),
                wrong => panic!("{wrong:?} in {:?}", &self.buf[..self.buf.len().min(64)]),
            }
            if within_patience("a packet", self.stream.read_buf(&mut self.buf)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The server closes the connection without another byte (a reset counts).
    pub async fn expect_closed(&mut self) {
        assert!(self.buf.is_empty(), "there is more: {:?}", self.buf);
        match within_patience("the connection to be closed", self.stream.read_buf(&mut self.buf)).await {
            Ok(0) | Err(_) => {}
            Ok(_) => panic!("the server went on: {:?}", self.buf),
        }
    }

    /// Reads up to `limit` bytes as they are, whatever they are; none: the connection was closed.
    pub async fn read_bytes(&mut self, limit: usize) -> Vec<u8> {
        if self.buf.is_empty() {
            within_patience("bytes", self.stream.read_buf(&mut self.buf)).await.expect("reads");
        }
        let length = limit.min(self.buf.len());
        self.buf.split_to(length).to_vec()
    }

    /// Runs statements; panics if the connection breaks.
    pub async fn query(&mut self, sql: &str) -> Vec<Answer> {
        self.send_command(&[&[command::COM_QUERY], sql.as_bytes()].concat()).await;
        self.answers(false).await.expect("a whole response")
    }

    /// Runs one statement; panics if there are several answers.
    pub async fn query_one(&mut self, sql: &str) -> Answer {
        let mut answers = self.query(sql).await;
        let answer = answers.pop().expect("an answer");
        assert_eq!(answers, [], "several answers");
        answer
    }

    /// Sends a command that is answered by OK or ERR.
    pub async fn command(&mut self, payload: &[u8]) -> Answer {
        self.send_command(payload).await;
        let payload = self.receive().await.expect("an answer");
        read_verdict(&payload, self.capabilities)
    }

    /// Prepares a statement.
    pub async fn prepare(&mut self, sql: &str) -> Result<Prepared, ErrOwned> {
        self.send_command(&[&[command::COM_STMT_PREPARE], sql.as_bytes()].concat()).await;
        let payload = self.receive().await.expect("an answer");
        if payload.first() == Some(&ERR_HEADER) {
            return Err(ErrPacket::decode(&payload).expect("an ERR packet").to_owned());
        }
        let ok = PrepareOk::decode(&payload).expect("a prepared statement");
        self.definitions(ok.params.into()).await.expect("definitions");
        let columns = self.definitions(ok.columns.into()).await.expect("definitions");
        Ok(Prepared { ok, columns: columns.into_iter().map(|(name, ..)| name).collect() })
    }

    /// Executes a prepared statement with these texts (or NULLs) as its parameters.
    pub async fn execute(&mut self, statement_id: u32, parameters: &[Option<&str>]) -> Vec<Answer> {
        self.send_command(&execute_payload(statement_id, parameters)).await;
        self.answers(true).await.expect("a whole response")
    }

    /// Reads all answers to a command; an error is what broke the connection.
    pub async fn answers(&mut self, binary: bool) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        loop {
            let answer = self.answer(binary).await?;
            let has_more = match &answer {
                Answer::Ok { status, .. } | Answer::Rows(Rows { status, .. }) => status.contains(StatusFlags::MORE_RESULTS),
                Answer::Err(_) => false,
            };
            answers.push(answer);
            if !has_more {
                return Ok(answers);
            }
        }
    }

    async fn answer(&mut self, binary: bool) -> io::Result<Answer> {
        let payload = self.receive().await?;
        if matches!(payload.first(), Some(&(OK_HEADER | ERR_HEADER))) {
            return Ok(read_verdict(&payload, self.capabilities));
        }
        assert_ne!(payload.first(), Some(&LOCAL_INFILE_HEADER), "a request for a file");
        let count = Reader::new(&payload).lenenc_int().expect("a count of columns");
        let definitions = self.definitions(usize::try_from(count).expect("a count")).await?;
        let mut rows = Vec::new();
        loop {
            let payload = self.receive().await?;
            match payload.first() {
                Some(&ERR_HEADER) => return Ok(read_verdict(&payload, self.capabilities)),
                Some(&EOF_HEADER) if self.is_end(&payload) => {
                    let columns = definitions.into_iter().map(|(name, ..)| name).collect();
                    return Ok(Answer::Rows(self.end(&payload, columns, rows)));
                }
                _ if binary => rows.push(read_binary_row(&payload, &definitions)),
                _ => rows.push(read_text_row(&payload)),
            }
        }
    }

    fn is_end(&self, payload: &[u8]) -> bool {
        self.capabilities.contains(Capabilities::DEPRECATE_EOF) && payload.len() < wire::MAX_PAYLOAD
            || payload.len() < EofPacket::LENGTH_LIMIT
    }

    fn end(&self, payload: &[u8], columns: Vec<String>, rows: Vec<Vec<Value>>) -> Rows {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            let ok = OkPacket::decode(payload, self.capabilities).expect("the end of the rows");
            let session_state = ok.session_state.to_vec();
            Rows { columns, rows, status: ok.status, warnings: ok.warnings, session_state }
        } else {
            let eof = EofPacket::decode(payload).expect("the end of the rows");
            Rows { columns, rows, status: eof.status, warnings: eof.warnings, session_state: Vec::new() }
        }
    }

    async fn definitions(&mut self, count: usize) -> io::Result<Vec<(String, u8, bool)>> {
        let mut definitions = Vec::new();
        for _ in 0..count {
            definitions.push(read_definition(&self.receive().await?));
        }
        if count > 0 && !self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            EofPacket::decode(&self.receive().await?).expect("the end of the definitions");
        }
        Ok(definitions)
    }
}

/// A `COM_STMT_EXECUTE` with these texts (or NULLs).
pub fn execute_payload(statement_id: u32, parameters: &[Option<&str>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u8(command::COM_STMT_EXECUTE);
    out.put_u32_le(statement_id);
    out.put_u8(0);
    out.put_u32_le(1);
    if parameters.is_empty() {
        return out;
    }
    let mut nulls = vec![0_u8; parameters.len().div_ceil(8)];
    for (at, _) in parameters.iter().enumerate().filter(|(_, parameter)| parameter.is_none()) {
        nulls[at / 8] |= 1 << (at % 8);
    }
    out.extend(nulls);
    out.put_u8(1);
    for _ in parameters {
        out.extend([TEXT_TYPE, 0]);
    }
    for text in parameters.iter().flatten() {
        out.put_lenenc_bytes(text.as_bytes());
    }
    out
}
