//! A job for the tests of this crate: tries every way back to root, and says how each ended.

fn main() {
    let errno = || std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    let keep = u32::MAX;
    let zero = [0u32];
    // SAFETY: all of these take numbers, or a pointer to memory that lives for the call.
    let tries = unsafe {
        [
            ("setuid", libc::setuid(0), errno()),
            ("setresuid", libc::setresuid(keep, 0, keep), errno()),
            ("seteuid", libc::seteuid(0), errno()),
            ("setgid", libc::setgid(0), errno()),
            ("setresgid", libc::setresgid(keep, 0, keep), errno()),
            ("setgroups", libc::setgroups(1, zero.as_ptr()), errno()),
            (
                "open_tty",
                libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR),
                errno(),
            ),
            (
                "tiocsti",
                libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()),
                errno(),
            ),
            (
                "nice",
                libc::setpriority(libc::PRIO_PROCESS, 0, -5),
                errno(),
            ),
            ("chroot", libc::chroot(c"/".as_ptr()), errno()),
        ]
    };
    for (name, result, errno) in tries {
        println!("{name} {}", if result < 0 { errno } else { 0 });
    }
}
