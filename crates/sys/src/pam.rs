//! PAM behind safe functions: the library is looked for when it is wanted, so that hosts without it run as before. Only the
//! holder of a session, a process of its own, comes here: what modules leave behind in their process stays in it.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

/// The library, by the name that its interface has had since 1999.
const LIBRARY: &CStr = c"libpam.so.0";
/// The most texts of modules that are kept, and the most bytes of each.
const TEXTS_MAX: (usize, usize) = (4, 160);
/// The most messages that modules may hand over at once; the library's own limit.
const MESSAGES_MAX: c_int = 32;
const SUCCESS: c_int = 0;
const CONVERSATION_FAILED: c_int = 19;
/// What stands before a text that only wants to be shown: an error, a remark. Everything else wants an answer.
const SHOWN: [c_int; 2] = [3, 4];
const TERMINAL: c_int = 3;
const SILENT: c_int = 0x8000;
const ESTABLISH: c_int = 2;
const DELETE: c_int = 4;

/// What PAM answered where it did not agree: its number of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub c_int);

/// Answers that are about the account, whatever the state of the host: denied, unknown, expired, a password that must be changed.
const VERDICTS: [c_int; 8] = [6, 7, 10, 11, 12, 13, 16, 27];

impl Code {
    /// Says whether it is a verdict on the account, and not trouble with a module or a directory.
    pub fn is_verdict(self) -> bool {
        VERDICTS.contains(&self.0)
    }
}

/// What is asked of the modules of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// May the account be used now?
    Account,
    /// Give the process the account's credentials: groups, tickets.
    Establish,
    /// Open the session.
    Open,
    /// Close it.
    Close,
    /// Take the credentials back.
    Delete,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// An answer to a message; none is ever filled in.
#[repr(C)]
struct Answer {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conversation {
    talk: extern "C" fn(c_int, *const *const Message, *mut *mut Answer, *mut c_void) -> c_int,
    data: *mut c_void,
}

type StartFn = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const Conversation,
    *mut *mut c_void,
) -> c_int;
type FlagFn = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type ItemFn = unsafe extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int;
type ListFn = unsafe extern "C" fn(*mut c_void) -> *mut *mut c_char;
type WordsFn = unsafe extern "C" fn(*mut c_void, c_int) -> *const c_char;

/// The library's functions that are used.
#[derive(Debug, Clone, Copy)]
struct Library {
    start: StartFn,
    set_item: ItemFn,
    account: FlagFn,
    credentials: FlagFn,
    open: FlagFn,
    close: FlagFn,
    list: ListFn,
    words: WordsFn,
    end: FlagFn,
}

impl Library {
    /// Loads the library, which stays loaded; a sentence says what is missing.
    fn load() -> Result<Self, String> {
        // SAFETY: the name is a C string; what the library's own initialisers do is the system's business.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            let name = LIBRARY.to_string_lossy();
            return Err(format!("the library {name} can't be loaded on this host"));
        }
        let find = |name: &CStr| {
            // SAFETY: the library is loaded and the name is a C string.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            let missing = || format!("the library lacks {}", name.to_string_lossy());
            (!found.is_null()).then_some(found).ok_or_else(missing)
        };
        // SAFETY: each of these names has this signature in every release of the interface (version LIBPAM_1.0), and a
        // pointer that `dlsym` found is that of a function which stays loaded.
        unsafe {
            use std::mem::transmute;
            Ok(Self {
                start: transmute::<*mut c_void, StartFn>(find(c"pam_start")?),
                set_item: transmute::<*mut c_void, ItemFn>(find(c"pam_set_item")?),
                account: transmute::<*mut c_void, FlagFn>(find(c"pam_acct_mgmt")?),
                credentials: transmute::<*mut c_void, FlagFn>(find(c"pam_setcred")?),
                open: transmute::<*mut c_void, FlagFn>(find(c"pam_open_session")?),
                close: transmute::<*mut c_void, FlagFn>(find(c"pam_close_session")?),
                list: transmute::<*mut c_void, ListFn>(find(c"pam_getenvlist")?),
                words: transmute::<*mut c_void, WordsFn>(find(c"pam_strerror")?),
                end: transmute::<*mut c_void, FlagFn>(find(c"pam_end")?),
            })
        }
    }
}

/// What modules wanted to be shown.
type Texts = RefCell<Vec<String>>;

/// A conversation with the modules of one service about one account.
#[derive(Debug)]
pub struct Transaction {
    library: Library,
    handle: *mut c_void,
    /// Boxed, since the modules' side keeps its address.
    texts: Box<Texts>,
    last: c_int,
}

impl Transaction {
    /// Begins, with a word in place of a terminal.
    ///
    /// # Errors
    /// A sentence that says what the host lacks.
    pub fn start(service: &CStr, user: &CStr, terminal: &CStr) -> Result<Self, String> {
        let library = Library::load()?;
        let mut it = Self {
            library,
            handle: null_mut(),
            texts: Box::default(),
            last: SUCCESS,
        };
        let data: *const Texts = &raw const *it.texts;
        let conversation = Conversation {
            talk,
            data: data.cast_mut().cast(),
        };
        // SAFETY: names and record live for the call, which copies them; the place for the handle does as well, and what
        // the record points to lives as long as this value, whose end ends the conversation.
        let code = unsafe {
            (library.start)(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                &raw mut it.handle,
            )
        };
        if code != SUCCESS || it.handle.is_null() {
            return Err(format!("PAM could not begin (error {code})"));
        }
        // SAFETY: the handle is a live one, and the library copies the text.
        unsafe { (library.set_item)(it.handle, TERMINAL, terminal.as_ptr().cast()) };
        Ok(it)
    }

    /// Asks the service's modules; they are told to show nothing.
    ///
    /// # Errors
    /// Their answer where they don't agree.
    pub fn call(&mut self, call: Call) -> Result<(), Code> {
        let (function, flag) = match call {
            Call::Account => (self.library.account, 0),
            Call::Establish => (self.library.credentials, ESTABLISH),
            Call::Open => (self.library.open, 0),
            Call::Close => (self.library.close, 0),
            Call::Delete => (self.library.credentials, DELETE),
        };
        // SAFETY: the handle is a live one; modules are the host administrator's, and this process has nothing else to do.
        self.last = unsafe { function(self.handle, flag | SILENT) };
        match self.last {
            SUCCESS => Ok(()),
            code => Err(Code(code)),
        }
    }

    /// Says in words what an answer means, with what modules wanted to be shown before it.
    pub fn words(&self, Code(code): Code) -> String {
        // SAFETY: the handle is a live one; what is returned is a C string that stands still.
        let text = unsafe { (self.library.words)(self.handle, code) };
        let mut said = self.texts.borrow().clone();
        said.push(shown(text));
        said.retain(|it| !it.is_empty());
        said.join("; ")
    }

    /// Returns the variables that modules have set, each `NAME=value`, at most `max` bytes and as many variables; `None`
    /// where there are more.
    pub fn variables(&self, (bytes_max, count_max): (usize, usize)) -> Option<Vec<Vec<u8>>> {
        let (mut found, mut size) = (Vec::new(), 0);
        // SAFETY: the handle is a live one. The list ends with a null pointer, and it and each entry are this caller's to
        // free, once.
        unsafe {
            let list = (self.library.list)(self.handle);
            if list.is_null() {
                return Some(found);
            }
            let mut at = list;
            while !(*at).is_null() {
                let text = CStr::from_ptr(*at).to_bytes();
                size += text.len() + 1;
                if size <= bytes_max && found.len() <= count_max {
                    found.push(text.to_vec());
                }
                libc::free((*at).cast());
                at = at.add(1);
            }
            libc::free(list.cast());
        }
        (size <= bytes_max && found.len() <= count_max).then_some(found)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle is a live one, and nobody uses it afterwards.
            unsafe { (self.library.end)(self.handle, self.last) };
        }
    }
}

/// Hears what modules say. Nobody is there to answer, so whatever wants an answer fails; texts are kept.
extern "C" fn talk(
    count: c_int,
    messages: *const *const Message,
    answers: *mut *mut Answer,
    data: *mut c_void,
) -> c_int {
    if !(1..=MESSAGES_MAX).contains(&count) || messages.is_null() || answers.is_null() {
        return CONVERSATION_FAILED;
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the library hands over `count` pointers to messages, which live for the call, and the address that
    // `Transaction::start` gave it; one thread is in here at a time. Answers are freed by whoever asked, so they come from
    // the same allocator, zeroed: no text, no code.
    unsafe {
        let texts = &*data.cast::<Texts>();
        for at in 0..count {
            let Some(message) = (*messages.add(at)).as_ref() else {
                return CONVERSATION_FAILED;
            };
            if !SHOWN.contains(&message.style) {
                return CONVERSATION_FAILED;
            }
            if let Ok(mut texts) = texts.try_borrow_mut()
                && texts.len() < TEXTS_MAX.0
            {
                texts.push(shown(message.text));
            }
        }
        *answers = libc::calloc(count, size_of::<Answer>()).cast();
        if (*answers).is_null() {
            return CONVERSATION_FAILED;
        }
    }
    SUCCESS
}

/// Copies a text of a module's as it can stand in a log: one line, no controls, bounded.
fn shown(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, so a C string that lives for the call.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXTS_MAX.1)]).into_owned();
    let text = text.replace(char::is_control, " ");
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(styles: &[c_int], text: &CStr, texts: &Texts) -> (c_int, bool) {
        let all: Vec<Message> = styles
            .iter()
            .map(|&style| Message {
                style,
                text: text.as_ptr(),
            })
            .collect();
        let pointers: Vec<*const Message> = all.iter().map(|it| &raw const *it).collect();
        let mut answers: *mut Answer = null_mut();
        let data: *const Texts = texts;
        let count = c_int::try_from(styles.len()).unwrap();
        let code = talk(
            count,
            pointers.as_ptr(),
            &raw mut answers,
            data.cast_mut().cast(),
        );
        let has_answers = !answers.is_null();
        // SAFETY: made by `calloc`, or null.
        unsafe { libc::free(answers.cast()) };
        (code, has_answers)
    }

    #[test]
    fn texts_are_kept_and_questions_fail() {
        let texts = Texts::default();
        assert_eq!(say(&[3, 4], c"gone\nhome\x1b", &texts), (SUCCESS, true));
        assert_eq!(*texts.borrow(), ["gone home", "gone home"]);
        for question in [1, 2, 5, 7, 0, -1] {
            let said = say(&[3, question], c"Password:", &texts);
            assert_eq!(said, (CONVERSATION_FAILED, false), "{question}");
        }
        assert_eq!(say(&[], c"", &texts), (CONVERSATION_FAILED, false));
        for _ in 0..9 {
            say(&[3], c"again", &texts);
        }
        assert_eq!(texts.borrow().len(), TEXTS_MAX.0);
        assert_eq!(shown(std::ptr::null()), "");
    }
}
