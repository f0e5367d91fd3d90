//! A text in the editor that a person has chosen: `$VISUAL`, else `$EDITOR`. It gets the terminal until it ends, and a file
//! that nobody else may read.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::term;

/// Bytes that are read back at the most.
const MOST: u64 = 16 << 20;
/// How often it is looked whether the editor has ended.
const LOOK: Duration = Duration::from_millis(40);

/// The file an editor works on. It goes when this does.
struct Draft(PathBuf);

impl Draft {
    fn write(text: &str) -> io::Result<Self> {
        let private = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        let name = format!("flower-tui-{:016x}.py", fastrand::u64(..));
        let draft = Self(private.unwrap_or_else(std::env::temp_dir).join(name));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0)?;
        writeln!(file, "{text}")?;
        Ok(draft)
    }

    fn read(&self) -> Result<String, String> {
        let mut text = String::new();
        // Editors may put another file in its place.
        let read = std::fs::File::open(&self.0).and_then(|file| file.take(MOST + 1).read_to_string(&mut text));
        read.map_err(|why| format!("what was edited can't be read: {why}"))?;
        if text.len() as u64 > MOST {
            return Err("what was edited is too long".into());
        }
        // Between literals a new line is as good as a space.
        Ok(text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Lets a person edit a text, as one line; or says why that was not possible. It ends early when it is `over`.
pub fn edit(text: &str, mouse: bool, over: &dyn Fn() -> bool) -> Result<String, String> {
    let named = |name: &str| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR"));
    let editor = editor.ok_or("no editor is named: set VISUAL or EDITOR")?;
    let draft = Draft::write(text).map_err(|why| format!("there is no place for a file to edit: {why}"))?;
    let ran = term::lend(mouse, || run(&editor, &draft.0, over));
    let status = ran.map_err(|why| format!("{editor} can't be run: {why}"))?;
    if !status.success() {
        return Err(format!("{editor} ended with {status}: nothing is changed"));
    }
    draft.read()
}

/// Runs it as a shell would: it may be several words.
fn run(editor: &str, path: &Path, over: &dyn Fn() -> bool) -> io::Result<ExitStatus> {
    let mut child = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if over() {
            child.kill()?;
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_draft_is_its_owners_alone_comes_back_as_one_line_and_goes() {
        let draft = Draft::write("{'a': 1}").expect("written");
        let path = draft.0.clone();
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let ended = run("true;  sed -i 's/1/[\\n  2,\\n]/'", &path, &|| false).expect("runs");
        assert!(ended.success());
        assert_eq!(draft.read().as_deref(), Ok("{'a': [ 2, ]}"));
        drop(draft);
        assert!(!path.exists());
    }

    #[test]
    fn an_editor_does_not_keep_us_from_ending() {
        let ended = run("sleep 60; true", Path::new("/nowhere"), &|| true).expect("runs");
        assert!(!ended.success());
    }
}
