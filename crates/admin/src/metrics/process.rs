//! What the process uses, from `/proc/self`, under the names that all of Prometheus' client libraries have for it.

use std::fmt;
use std::fs;

use super::writer::Writer;

/// The unit of the times in `/proc/self/stat`, on every architecture of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// One look.
#[derive(Debug)]
pub(super) struct Process {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    open_files: usize,
    open_files_max: f64,
}

impl Process {
    /// `None` where there is no such file, as on other systems than Linux.
    pub(super) fn look() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        // Without the one by which they are listed.
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Self::read(&fs::read_to_string("/proc/self/stat").ok()?, &status, &limits, open_files)
    }

    /// From the texts of these files (`proc(5)`).
    fn read(stat: &str, status: &str, limits: &str, open_files: usize) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
        let of_status = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let open_files_max = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
        Some(Self {
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            resident_bytes: of_status("VmRSS")? * 1024.0,
            virtual_bytes: of_status("VmSize")? * 1024.0,
            threads: of_status("Threads")?,
            open_files,
            open_files_max: open_files_max?.parse().unwrap_or(f64::INFINITY),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.seconds("process_cpu_seconds", "CPU time in user and system mode", self.cpu_seconds)?;
        writer.gauge("process_resident_memory_bytes", "Memory in RAM", self.resident_bytes)?;
        writer.gauge("process_virtual_memory_bytes", "Memory in the address space", self.virtual_bytes)?;
        writer.gauge("process_threads", "Threads", self.threads)?;
        writer.gauge("process_open_fds", "Open file descriptors", self.open_files)?;
        writer.gauge("process_max_fds", "How many there may be", self.open_files_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_understood() {
        let stat = "17 (a) b (c)) S 1 17 17 0 -1 4194560 500 0 0 0 250 50 0 0 20 0 4 0 100 1000 20";
        let status = "Name:\tpointsman\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t4\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 4096                 files\n";
        let process = Process::read(stat, status, limits, 9).expect("they are whole");
        assert_eq!((process.cpu_seconds, process.resident_bytes, process.virtual_bytes), (3.0, 1_048_576.0, 2_097_152.0));
        assert_eq!((process.threads, process.open_files, process.open_files_max), (4.0, 9, 1024.0));
        assert!(Process::read(stat, "", limits, 9).is_none());
        assert!(Process::look().is_some_and(|process| process.resident_bytes > 0.0 && process.threads >= 1.0));
    }
}
