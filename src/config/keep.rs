//! Writing a profile into the config file: what stands in it already stays as it is.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{Error, file};

/// Whether a profile can have this name without quotes in the file.
pub fn name(text: &str) -> Result<(), String> {
    match text {
        "" => Err("a profile needs a name".into()),
        name if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) => Ok(()),
        _ => Err("letters, digits, - and _ only".into()),
    }
}

/// Adds a profile with this broker. Says whether it is now the one that is used where none is named: it is, where no
/// other was. The file is its owner's alone from then on, since a URL may hold a password.
pub fn profile(path: &Path, profile: &str, url: &str) -> Result<bool, Error> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| Error(format!("can't write {shown}: {error}"));
    name(profile).map_err(Error)?;
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error(format!("can't read {shown}: {error}"))),
    };
    let file = file::parse(&before, &shown, Some(path))?;
    if file.profiles.contains_key(profile) {
        return Err(Error(format!("there is a profile {profile} already in {shown}")));
    }
    let first = file.profile.is_none();
    let usual = if first { format!("profile = \"{profile}\"\n") } else { String::new() };
    let broken = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let url = toml::Value::String(url.to_owned());
    let after = format!("{usual}{before}{broken}\n[profiles.{profile}]\nbroker = {url}\n");
    // Whatever stood there before: what is written can be read.
    file::parse(&after, &shown, Some(path))?;
    // A link to the file stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let beside = path.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        let mut new = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
        new.write_all(after.as_bytes())?;
        new.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // Nothing was there before under this name.
        let _ = std::fs::remove_file(&beside);
    }
    written.map(|()| first).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Settings};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_profile_is_added_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/config.toml");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(profile(&path, "first", "redis://:pw@one:6379/0"), Ok(true));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("# mine\n{text}# the end")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(profile(&path, "second", "redis://two/3"), Ok(false));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\nprofile = \"first\"\n") && text.contains("# the end\n"), "{text}");
        assert_eq!(mode(&path), 0o600);
        for (asked, host) in [(None, "one"), (Some("second"), "two")] {
            let flags = Flags { config: Some(path.clone()), profile: asked.map(str::to_owned), ..Flags::default() };
            let settings = Settings::resolve(&flags, &Default::default()).unwrap();
            assert!(settings.broker.value.unwrap().to_string().contains(host));
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "[profiles.here]\nbroker = \"redis://old\"\n").unwrap();
        let why = profile(&path, "here", "redis://new").unwrap_err().0;
        assert!(why.contains("there is a profile here already"), "{why}");
        assert!(profile(&path, "a b", "redis://new").unwrap_err().0.contains("letters, digits"));
        std::fs::write(&path, "no toml at all\n").unwrap();
        assert!(profile(&path, "x", "redis://new").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "no toml at all\n");
    }
}
