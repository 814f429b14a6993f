//! Clients that are programs of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use tokio::process::Command;

use crate::{APP, Engine, PATIENCE, Proxy, SCHEMA, binary, cluster};

/// Whose client verifies certificates by default.
const VERIFYING_IMAGE: &str = "pointsman-mariadb:11.8";

/// What a program has said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Said {
    /// What it wrote to its standard output.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// What it wrote to its standard error.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.errors).into_owned()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self { status: output.status, output: output.stdout, errors: output.stderr }
    }
}

/// Runs a script with the command line client of an engine, from that engine's image, as the application.
///
/// Through Docker's command line, as the client must see the loopback interface of the host, where the proxy listens.
pub async fn command_line(client: Engine, proxy: &Proxy, password: &str, script: &str) -> Said {
    command_line_as(client, proxy, (APP, password), script).await
}

/// The same with another account: its name and its password.
pub async fn command_line_as(client: Engine, proxy: &Proxy, (user, password): (&str, &str), script: &str) -> Said {
    let arguments = [format!("--user={user}"), format!("--password={password}")];
    command_line_at(proxy.address, client, &arguments.each_ref().map(String::as_str), script).await
}

/// The same for a client that connects to this address, with more arguments.
pub async fn command_line_at(address: SocketAddr, client: Engine, arguments: &[&str], script: &str) -> Said {
    let (image, tag) = client.image();
    run_command_line(&format!("{image}:{tag}"), client.cli(), address, arguments, script).await
}

/// The same with a client that verifies the certificate of every server but one at 127.0.0.1: MariaDB's, from 11.4 on.
pub async fn verifying_command_line(proxy: &Proxy, (user, password): (&str, &str), script: &str) -> Said {
    let arguments = ["--host=localhost", &format!("--user={user}"), &format!("--password={password}")];
    run_command_line(VERIFYING_IMAGE, Engine::MariaDb.cli(), proxy.address, &arguments, script).await
}

async fn run_command_line(image: &str, program: &str, address: SocketAddr, arguments: &[&str], script: &str) -> Said {
    let (label, run) = cluster::label();
    let mut docker = Command::new("docker");
    docker
        .args([
            "run",
            "--rm",
            "--interactive",
            "--network=host",
            &format!("--label={label}={run}"),
            &format!("--entrypoint={program}"),
            image,
        ])
        .args(["--protocol=tcp", "--default-character-set=utf8mb4", "--batch"])
        .args([format!("--host={}", address.ip()), format!("--port={}", address.port())])
        .args([format!("--user={APP}"), format!("--database={SCHEMA}")])
        .args(arguments);
    // From its standard input, since the command DELIMITER is not known to --execute.
    run_with_input(docker, script).await
}

/// Runs a command of an image that docker/images builds, with `tests/clients` as its working directory and the proxy's address as its last
/// arguments but `more`.
///
/// On the host's network, as the client must see the loopback interface, where the proxy listens.
pub async fn in_image(image: &str, command: &[&str], proxy: &Proxy, more: &[&str]) -> Said {
    let (label, run) = cluster::label();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let (program, arguments) = command.split_first().expect("a command");
    let mut docker = Command::new("docker");
    docker
        .args(["run", "--rm", "--network=host", "--workdir=/clients", "--env=PYTHONDONTWRITEBYTECODE=1"])
        .args([format!("--label={label}={run}"), format!("--volume={}:/clients:ro", scripts.display())])
        .args([&format!("--entrypoint={program}"), image])
        .args(arguments)
        .args([proxy.address.ip().to_string(), proxy.address.port().to_string()])
        .args(more);
    run_with_input(docker, "").await
}

/// Runs a script of `tests/clients` that takes an address, a name for a table, and what is in `more`.
pub async fn python(script: &str, proxy: &Proxy, table: &str, more: &[&str]) -> Said {
    let mut command = python_script(script);
    command.args([proxy.address.ip().to_string(), proxy.address.port().to_string(), table.to_owned()]).args(more);
    run_with_input(command, "").await
}

/// The same for a script that takes an address alone, and for any address.
pub async fn python_at(script: &str, address: SocketAddr, more: &[&str]) -> Said {
    let mut command = python_script(script);
    command.args([address.ip().to_string(), address.port().to_string()]).args(more);
    run_with_input(command, "").await
}

/// Runs a command of Pointsman's in a terminal, and presses a key once all of these texts have appeared.
pub async fn in_terminal(proxy: &Proxy, command: &str, texts: &[&str], key: &str) -> Said {
    let mut terminal = python_script("terminal.py");
    terminal.args([key, &texts.join(",")]).arg(binary()).args([command, "--socket"]).arg(proxy.admin_socket());
    run_with_input(terminal, "").await
}

fn python_script(script: &str) -> Command {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = || tests.join("../target/e2e-venv/bin/python");
    let python = std::env::var_os("POINTSMAN_PYTHON").map_or_else(venv, PathBuf::from);
    assert!(python.exists(), "{} is missing; `tests/run e2e` makes it", python.display());
    let mut command = Command::new(python);
    // Nothing may be written into the source tree.
    command.args(["-B", "-W", "error::ResourceWarning"]).arg(tests.join("clients").join(script));
    command
}

async fn run_with_input(mut command: Command, input: &str) -> Said {
    use std::process::Stdio;
    use tokio::io::AsyncWriteExt as _;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let work = async {
        // A client that was refused does not read its script.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.expect("its end")
    };
    // A script does a lot, and other tests run at the same time.
    let output = tokio::time::timeout(4 * PATIENCE, work).await;
    output.unwrap_or_else(|_| panic!("waited {:?} in vain for a client program", 4 * PATIENCE)).into()
}
