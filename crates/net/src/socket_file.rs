//! A Unix socket to listen on, and its file: whose it is, who may open it, and that it is gone at the end.

use std::fs::{remove_file, symlink_metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;
use rustix::process::umask;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::listener_handle::ListenerHandle;

/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens. When it is dropped, its file is removed.
#[derive(Debug)]
pub struct SocketFile {
    // Dropped first, so that a successor never finds a file at which nobody listens.
    file: File,
    /// Where processes connect.
    pub listener: UnixListener,
}

/// The file of a socket of this process.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Somebody else removes it.
    stays: Arc<AtomicBool>,
}

impl SocketFile {
    /// Creates the socket with these permissions; who may write may connect. A file that a former process has left is replaced. One where a process
    /// listens is an error, and so is any file that is no socket. To be called on a tokio runtime.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let address = SockAddr::unix(path)?;
        // So that nobody else can open it, from its first moment on.
        let usual = umask(Mode::from_raw_mode(!mode & 0o777));
        let bound = socket.bind(&address);
        umask(usual);
        bound?;
        let file = File::at(path, false)?;
        socket.listen(BACKLOG)?;
        Ok(Self { file, listener: UnixListener::from_std(socket.into())? })
    }

    /// Uses a socket that another process has made and that listens at `path`. Its file stays, unless [`ListenerHandle::take_file`] says otherwise. To be
    /// called on a tokio runtime.
    pub fn adopt(listener: std::os::unix::net::UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { file: File::at(path, true)?, listener: UnixListener::from_std(listener)? })
    }

    /// What passes it on to another process.
    pub fn handle(&self) -> io::Result<ListenerHandle> {
        Ok(ListenerHandle::new(&self.listener)?.with_file(Arc::clone(&self.file.stays)))
    }

    /// The listener, and what removes the file when it is dropped.
    pub fn into_parts(self) -> (UnixListener, impl Send + Sync + use<>) {
        (self.listener, self.file)
    }
}

/// Removes the socket of a process that has ended. Only a refused connection shows that: a process that is too busy to accept gives other errors.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A connection to any other file is refused, too.
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
    }
}

impl File {
    fn at(path: &Path, stays: bool) -> io::Result<Self> {
        let created = symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (created.dev(), created.ino()), stays: Arc::new(AtomicBool::new(stays)) })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.stays.load(Ordering::Relaxed) {
            return;
        }
        // Somebody may have removed it, and a new process may have made another one.
        let is_ours = symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            let _ = remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A path of this test's own.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pointsman-net-{}-{name}", std::process::id()));
        let _ = remove_file(&path);
        path
    }

    #[tokio::test]
    async fn a_socket_has_its_permissions_and_is_removed_at_the_end() {
        for mode in [0o600, 0o660, 0o777] {
            let path = path("mode");
            let socket = SocketFile::bind(&path, mode).unwrap();
            assert_eq!(symlink_metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            drop(socket);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let path = path("stale");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let living = SocketFile::bind(&path, 0o600).unwrap();
        let error = SocketFile::bind(&path, 0o600).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        assert!(path.exists());
        drop(living);
    }

    #[tokio::test]
    async fn a_socket_that_is_passed_on_keeps_its_file_and_its_clients() {
        let path = path("passed");
        let old = SocketFile::bind(&path, 0o600).unwrap();
        let handle = old.handle().unwrap();
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert!(handle.removes_file());
        handle.leave_file();
        drop(old);
        let passed = handle.as_fd().try_clone_to_owned().unwrap().into();
        drop(handle);
        let new = SocketFile::adopt(passed, &path).unwrap();
        new.listener.accept().await.expect("the client that was there before");
        let handle = new.handle().unwrap();
        assert!(!handle.removes_file());
        handle.take_file();
        drop((client, new));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_file_of_another_owner_stays() {
        let path = path("others");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(SocketFile::adopt(listener, &path).unwrap());
        assert!(path.exists());
        remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn a_process_that_does_not_accept_is_alive() {
        let path = path("busy");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        // Until its queue is full.
        let mut waiting = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            let connected = client.connect(&SockAddr::unix(&path).unwrap());
            waiting.push(client);
            if connected.is_err() {
                break;
            }
        }
        assert!(SocketFile::bind(&path, 0o600).unwrap_err().to_string().contains("another process"));
        remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn other_files_are_left_alone() {
        let path = path("file");
        std::fs::write(&path, "precious").unwrap();
        assert!(SocketFile::bind(&path, 0o600).unwrap_err().to_string().contains("no socket"));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let path = path("successor");
        let former = SocketFile::bind(&path, 0o600).unwrap();
        remove_file(&path).unwrap();
        // Its inode cannot be the one that is still open.
        let successor = SocketFile::bind(&path, 0o600).unwrap();
        drop(former);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}
