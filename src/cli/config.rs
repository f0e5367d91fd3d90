//! `config show`, `config keys`, `config init`, `config path`; `config from-celery` has a file of its own.

use serde_json::json;

use super::args::{ConfigArgs, ConfigCommand};
use super::env::Env;
use super::exit::{Exit, not_so};
use super::out;
use crate::config::{DEFAULT_FILE, file};
use crate::tui::action::{Row, TABLE};

pub async fn run(env: &Env, args: &ConfigArgs) -> anyhow::Result<Exit> {
    match &args.what {
        ConfigCommand::Show { json: true } => {
            let rows: serde_json::Map<String, serde_json::Value> = env
                .settings
                .table()
                .into_iter()
                .map(|(key, value, source)| (key, json!({"value": value, "source": source})))
                .collect();
            out::json(&rows)?;
        }
        ConfigCommand::Show { json: false } => {
            let rows: Vec<Vec<String>> =
                env.settings.table().into_iter().map(|(key, value, source)| vec![key, value, source]).collect();
            out::table(&["SETTING", "VALUE", "FROM"], &rows)?;
        }
        ConfigCommand::Keys => {
            let keys = env.look.keys();
            let row = |row: &Row| {
                let (scope, help) = (row.scope.title().to_owned(), row.help.to_owned());
                vec![row.action.name(), keys.of(row.action).join("  "), scope, help]
            };
            out::table(&["ACTION", "KEYS", "WHERE", "WHAT"], &TABLE.iter().map(row).collect::<Vec<_>>())?;
        }
        ConfigCommand::FromCelery(args) => return super::from_celery::run(env, args).await,
        ConfigCommand::Path => out::line(&path(env)?.display().to_string())?,
        ConfigCommand::Init => {
            let path = path(env)?;
            if path.exists() {
                return Err(not_so(format!("{} is there already and was left as it is", path.display())));
            }
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            write_private(&path)?;
            out::line(&format!("wrote {}", path.display()))?;
        }
    }
    Ok(Exit::Done)
}

/// It may come to hold passwords: only its owner may read it.
fn write_private(path: &std::path::Path) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(DEFAULT_FILE.as_bytes())?;
    Ok(())
}

fn path(env: &Env) -> anyhow::Result<std::path::PathBuf> {
    let path = env.settings.config.clone().or_else(file::default_path);
    path.ok_or_else(|| not_so("there is no home folder to keep a config file in"))
}
