//! `doctor`: what works, what is unsafe, and what to do.

use serde_json::json;

use super::args::DoctorArgs;
use super::env::Env;
use super::exit::Exit;
use super::{gather, out};
use crate::ops::check::{self, Finding, Status};
use crate::ops::doctor::{self, Patient};

pub async fn run(env: &Env, args: DoctorArgs) -> anyhow::Result<Exit> {
    let url = env.url()?;
    // Where the broker can't be reached, the rest is looked at all the same.
    let (broker, store) = match gather::begin(env).await {
        Ok(cluster) => {
            cluster.listen(env, args.listen).await;
            cluster.ask_depths(env).await;
            (cluster.broker, cluster.store)
        }
        Err(_) => (env.broker()?, env.store()),
    };
    let patient = Patient {
        broker,
        store,
        clock: env.clock.clone(),
        results: env.results(&url).map_err(|error| format!("{error:#}")),
        options: env.settings.transport_options.clone(),
        exposed: env.settings.config.clone().filter(|_| env.settings.exposed),
        history: env.settings.history.value.clone(),
        url,
    };
    let findings = doctor::examine(&patient).await;
    let worst = check::worst(&findings);
    if args.json {
        out::json(&json!({"status": worst, "broker": patient.url.to_string(), "checks": findings}))?;
    } else {
        print(&findings)?;
    }
    Ok(match worst {
        _ if !doctor::reached(&findings) => Exit::Unreachable,
        Status::Warning | Status::Critical => Exit::NotSo,
        Status::Ok | Status::Unknown => Exit::Done,
    })
}

fn print(findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        let sign = match finding.status {
            Status::Ok => "✔",
            Status::Unknown => "?",
            Status::Warning => "!",
            Status::Critical => "✘",
        };
        out::line(&format!("{sign} {:18} {}", finding.check, finding.text))?;
        if let Some(advice) = &finding.advice {
            out::line(&format!("  {:18} → {advice}", ""))?;
        }
    }
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (bad, doubtful, unknown) = (count(Status::Critical), count(Status::Warning), count(Status::Unknown));
    out::line("")?;
    out::line(&format!("{bad} unsafe or broken, {doubtful} to be improved, {unknown} not known"))
}
