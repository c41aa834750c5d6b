//! What the tests of this crate start: it says what it was given, or makes a tree of processes.

use std::error::Error;
use std::io::Write as _;
use std::process::{Command, exit};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (word, rest) = words.split_first().ok_or("what to do?")?;
    match (word.as_str(), rest) {
        ("args", rest) => rest.iter().for_each(|it| println!("{it:?}")),
        ("env", _) => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ("directory", _) => println!("{}", std::env::current_dir()?.display()),
        ("exit", [code]) => exit(code.parse::<u32>()?.cast_signed()),
        ("streams", _) => {
            println!("out");
            eprintln!("err");
            let input = std::io::read_to_string(std::io::stdin())?;
            println!("input {input:?}");
        }
        ("handle", [number]) => println!("{}", can_use(number.parse()?)),
        ("tree", [depth, file]) => tree(depth.parse()?, file)?,
        ("hold", [depth, file]) => hold(depth, file)?,
        _ => return Err(format!("not to be done: {words:?}").into()),
    }
    Ok(())
}

/// Goes on for ever, after the last of its descendants has begun to write to the file.
fn tree(depth: u32, file: &str) -> Result<(), Box<dyn Error>> {
    if depth > 0 {
        let own = std::env::current_exe()?;
        let mut child = Command::new(own);
        child
            .args(["tree", &(depth - 1).to_string(), file])
            .spawn()?;
    }
    for count in 0_u64.. {
        if depth == 0 {
            std::fs::write(file, count.to_string())?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Says whether a number is a handle that this process can write to.
#[cfg(windows)]
fn can_use(number: usize) -> bool {
    use std::os::windows::io::{FromRawHandle as _, IntoRawHandle as _};
    // SAFETY: a number that is no handle is refused by the system; it is not closed.
    let mut file = unsafe { std::fs::File::from_raw_handle(number as _) };
    let is_written = file.write_all(b"leaked").is_ok();
    let _ = file.into_raw_handle();
    is_written
}

#[cfg(not(windows))]
fn can_use(_number: usize) -> bool {
    let _ = std::io::stdout().flush();
    false
}

/// Starts a tree in a job object and keeps it.
#[cfg(windows)]
fn hold(depth: &str, file: &str) -> Result<(), Box<dyn Error>> {
    use tessera_windows::{Priority, Start, command_line, environment, start};
    let own = std::env::current_exe()?;
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let started = start(&Start {
        command_line: command_line::of(&["probe", "tree", depth, file])?,
        environment: environment::block(&variables)?,
        directory: std::env::current_dir()?,
        program: own,
        priority: Priority::Normal,
    })?;
    println!("{}", started.tree.main().0);
    started.tree.wait()?;
    Ok(())
}

#[cfg(not(windows))]
fn hold(_depth: &str, _file: &str) -> Result<(), Box<dyn Error>> {
    Err("there are no job objects here".into())
}
