//! Asks a tool of the system, within bounds of time and bytes.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes of a tool's answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Asks a tool, and answers what it prints within that time.
pub(crate) async fn ask(tool: &str, args: &[&str], within: Duration) -> Result<String, String> {
    let mut child = Command::new(tool)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "it is not installed".to_owned(),
            _ => error.to_string(),
        })?;
    let stdout = child.stdout.take();
    let answer = async {
        let mut text = String::new();
        if let Some(stdout) = stdout {
            let mut stdout = stdout.take(ANSWER_BYTES_MAX);
            stdout.read_to_string(&mut text).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, text))
    };
    let answer = timeout(within, answer).await;
    let answer = answer.map_err(|_| format!("no answer within {} s", within.as_secs()))?;
    let (status, text) = answer.map_err(|error| error.to_string())?;
    if status.success() {
        Ok(text)
    } else {
        Err(format!("it failed ({status})"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_tool_that_is_not_there_or_fails_is_said() {
        let missing = ask("tessera-no-such-tool", &[], LONG).await;
        assert_eq!(missing, Err("it is not installed".to_owned()));
        let failed = ask("false", &[], LONG).await.expect_err("fails");
        assert!(failed.contains("it failed"), "{failed}");
        assert_eq!(ask("echo", &["7"], LONG).await.as_deref(), Ok("7\n"));
    }
}
