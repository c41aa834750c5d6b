//! A child that shares this process's memory until it executes its program, and whose parent is this process's parent.
//!
//! A start costs the same however large the process is (as with `vfork`), and the kernel tells the grandparent how it ended.

use std::cell::Cell;
use std::ffi::{CString, c_void};

use crate::{Errno, Sys, check, process};

/// The stack of a child until it executes its program.
const STACK: usize = 128 * 1024;

/// Room for a child's stack, used by one at a time.
#[derive(Debug)]
pub struct Stack(Vec<u8>);

impl Default for Stack {
    fn default() -> Self {
        Self(vec![0; STACK])
    }
}

/// A program with its arguments and variables, made so that executing it allocates nothing.
#[derive(Debug)]
pub struct Program {
    places: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    argv_pointers: Vec<*const libc::c_char>,
    env_pointers: Vec<*const libc::c_char>,
}

impl Program {
    /// Prepares a program that is tried in each of these places.
    pub fn new(places: Vec<CString>, argv: Vec<CString>, env: Vec<CString>) -> Self {
        Self {
            argv_pointers: process::pointers(&argv),
            env_pointers: process::pointers(&env),
            places,
            argv,
            env,
        }
    }

    /// Executes it; returns only when that fails. The error of the first place that exists counts.
    pub fn execute(&self) -> Errno {
        debug_assert_eq!(
            (self.argv.len() + 1, self.env.len() + 1),
            (self.argv_pointers.len(), self.env_pointers.len())
        );
        let mut error = Errno(libc::ENOENT);
        for place in &self.places {
            // SAFETY: both lists end with a null pointer and point to C strings that this value owns and never changes.
            unsafe {
                libc::execve(
                    place.as_ptr(),
                    self.argv_pointers.as_ptr(),
                    self.env_pointers.as_ptr(),
                )
            };
            match Errno::last() {
                Errno(libc::ENOENT | libc::ENOTDIR) => {}
                Errno(libc::EACCES) => error = Errno(libc::EACCES),
                other => return other,
            }
        }
        error
    }
}

/// What a child is to do, and what it says when it does not come to executing a program.
struct Order<'a, T> {
    run: &'a dyn Fn() -> T,
    said: Cell<Option<T>>,
}

/// Clones a child with this process's parent as its own and waits until it has executed its program or ended. What `run`
/// returns, when it does return, is answered; `None` when the program runs, or the child was killed on its way there.
///
/// `run` makes system calls and does not allocate, lock or panic: somebody may kill the child at any moment, and what it
/// leaves half-done stays so in this process.
///
/// # Errors
/// When there is no child to be had.
pub fn clone_sibling<T>(stack: &mut Stack, run: &dyn Fn() -> T) -> Sys<Option<T>> {
    let order = Order {
        run,
        said: Cell::new(None),
    };
    let flags = libc::CLONE_PARENT | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = stack.0.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top.addr() % 16);
    let argument = (&raw const order).cast_mut().cast();
    // SAFETY: this process has one thread, which stands still until the child has left its memory, so the stack and `order`
    // are the child's alone meanwhile; a panic can't leave an `extern` function.
    check(unsafe { libc::clone(child_main::<T>, top.cast(), flags, argument) })?;
    Ok(order.said.take())
}

/// The child. What it writes to `said` its maker reads afterwards: they share memory.
extern "C" fn child_main<T>(argument: *mut c_void) -> libc::c_int {
    // SAFETY: `clone_sibling` passes a live `Order` of this type, and its thread stands still.
    let order = unsafe { &*argument.cast::<Order<'_, T>>() };
    order.said.set(Some((order.run)()));
    process::exit_now(127)
}
