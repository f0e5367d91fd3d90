//! `bulk list|show|resume|stop`.

use serde_json::json;

use super::args::{BulkArgs, BulkCommand};
use super::env::Env;
use super::exit::{Exit, not_so};
use super::{change, gather, out};
use crate::history::bulk::Stand;
use crate::human;
use crate::ops::bulk::Kind;
use crate::ops::{Bulk, Command};

pub async fn run(env: &Env, args: BulkArgs) -> anyhow::Result<Exit> {
    match args.what {
        BulkCommand::List { format } => {
            let audit = env.audit().map_err(not_so)?;
            let rows: Vec<serde_json::Value> = audit
                .bulks(None)?
                .into_iter()
                .map(|bulk| {
                    json!({
                        "id": bulk.id, "at": bulk.at, "command": bulk.verb, "state": bulk.stand.word(), "sent": bulk.sent,
                        "of": bulk.all, "rate": bulk.rate, "why": bulk.why, "broker": bulk.broker,
                    })
                })
                .collect();
            out::rows(format, &rows, &["ID", "COMMAND", "STATE", "DONE", "OF", "RATE", "WHY"], |row| {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                let number = |key: &str| human::thousands(row[key].as_u64().unwrap_or(0));
                let rate = format!("{}/s", row["rate"]);
                vec![
                    row["id"].to_string(),
                    text("command"),
                    text("state"),
                    number("sent"),
                    number("of"),
                    rate,
                    text("why"),
                ]
            })?;
            Ok(Exit::Done)
        }
        BulkCommand::Show { id, format } => {
            let audit = env.audit().map_err(not_so)?;
            one(&audit, id)?;
            let rows: Vec<serde_json::Value> = audit
                .items(id, 0, usize::MAX)?
                .into_iter()
                .map(|item| json!({"task": item.task, "new": item.new, "queue": item.message.queue, "sent": item.sent}))
                .collect();
            out::rows(format, &rows, &["TASK", "SENT AS", "QUEUE", "DONE"], |row| {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                let sent = if row["sent"].is_null() { "-" } else { "yes" };
                vec![text("task"), text("new"), text("queue"), sent.to_owned()]
            })?;
            Ok(Exit::Done)
        }
        BulkCommand::Stop { id } => {
            let audit = env.audit().map_err(not_so)?;
            let bulk = one(&audit, id)?;
            let stand = match bulk.stand {
                Stand::Going => Stand::Stopping,
                Stand::Paused => Stand::Stopped,
                other => return Err(not_so(format!("bulk {id} is {} already", other.word()))),
            };
            audit.stands(id, stand, "asked to stop")?;
            Ok(Exit::Done)
        }
        BulkCommand::Resume { id, json } => {
            let bulk = one(&env.audit().map_err(not_so)?, id)?;
            if bulk.sent >= bulk.all {
                return Err(not_so(format!("all of bulk {id} is done")));
            }
            let Some(kind) = Kind::parse(&bulk.verb) else {
                return Err(not_so(format!("bulk {id} is a {}, which this flower-tui can't do", bulk.verb)));
            };
            let cluster = gather::begin(env).await?;
            // Who is online is told what is to be revoked.
            cluster.listen(env, 0.3).await;
            let command = Command::Bulk(Bulk::Resume { id, kind, left: bulk.all - bulk.sent });
            change::run(env, &cluster, &command, json).await
        }
    }
}

fn one(audit: &crate::history::audit::Audit, id: i64) -> anyhow::Result<crate::history::bulk::Bulk> {
    let found = audit.bulks(Some(id))?.into_iter().next();
    found.ok_or_else(|| not_so(format!("there is no bulk action {id}: `flower-tui bulk list` lists those there are")))
}
