//! `bulk list|show|resume|stop`.

use serde_json::json;

use super::args::{BulkArgs, BulkCommand};
use super::env::Env;
use super::exit::{Exit, not_so};
use super::{change, gather, out};
use crate::human;
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
                        "left_out": bulk.left_out, "of": bulk.all, "rate": bulk.rate, "why": bulk.why, "broker": bulk.broker,
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
                .map(|item| json!({"task": item.task, "new": item.new, "queue": item.message.queue, "sent": item.sent, "left_out": item.left_out}))
                .collect();
            out::rows(format, &rows, &["TASK", "SENT AS", "QUEUE", "DONE"], |row| {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                let sent = match (row["sent"].is_null(), text("left_out")) {
                    (false, _) => "yes".to_owned(),
                    (true, why) if why.is_empty() => "-".to_owned(),
                    (true, why) => format!("no: {why}"),
                };
                vec![text("task"), text("new"), text("queue"), sent]
            })?;
            Ok(Exit::Done)
        }
        BulkCommand::Stop { id } => {
            let ops = env.ops(env.broker()?, env.store(), env.clock.clone(), "cli", true);
            ops.stop_bulk(id).map_err(|why| not_so(why.to_string()))?;
            Ok(Exit::Done)
        }
        BulkCommand::Resume { id, yes, json } => {
            one(&env.audit().map_err(not_so)?, id)?;
            let cluster = gather::begin(env).await?;
            // Who is online is told what is to be revoked.
            cluster.listen(env, 0.3).await;
            let ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
            let command = ops.to_resume(id).await.map_err(|why| not_so(why.to_string()))?;
            // Where nothing is left there is nothing to ask: it is only noted as done.
            let sends = matches!(&command, Command::Bulk(Bulk::Resume(resume)) if resume.left > 0);
            if sends && !yes && !change::agreed(&cluster, &command)? {
                return Err(not_so("nothing was sent"));
            }
            change::run(env, &cluster, &command, json).await
        }
    }
}

fn one(audit: &crate::history::audit::Audit, id: i64) -> anyhow::Result<crate::history::bulk::Bulk> {
    let found = audit.bulks(Some(id))?.into_iter().next();
    found.ok_or_else(|| not_so(format!("there is no bulk action {id}: `flower-tui bulk list` lists those there are")))
}
