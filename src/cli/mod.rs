//! The command line: one file for each subcommand.

mod again;
mod args;
mod argv;
mod bench_feed;
mod bulk;
mod change;
mod check;
mod config;
mod doctor;
mod env;
mod events;
mod exit;
mod find;
mod flower;
mod from_celery;
mod gather;
mod history;
mod listing;
mod locate;
mod log;
mod look;
mod mark;
mod notify;
mod out;
mod overrides;
mod queue;
mod record;
mod replay;
mod report;
mod schedule;
mod send;
mod serve;
mod status;
mod tasks;
mod ui;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::Cli;
use args::Command;
use env::Env;
use exit::Exit;

use crate::ops::check::Status;

/// Runs the program.
pub fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (words, ignored) = flower::words(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows which stream is right.
            let _ = error.print();
            if error.use_stderr() && check::is_asked(&std::env::args().skip(1).collect::<Vec<_>>()) {
                return ExitCode::from(Exit::Check(Status::Unknown).code());
            }
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    ignored.iter().for_each(|note| out::error(note));
    argv::hide_passwords();
    let is_check = check::is(cli.command.as_ref());
    match run(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) if is_check => check::failed(&error),
        Err(error) => exit::report(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Some(Command::Completions { shell }) => {
            return out::bytes(|out| clap_complete::generate(*shell, &mut Cli::command(), "flower-tui", out));
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return out::bytes(|out| out.extend(page));
        }
        _ => {}
    }
    let env = Env::new(&cli.global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(dispatch(cli.command, env));
    // The thread that reads the terminal never ends by itself.
    runtime.shutdown_timeout(std::time::Duration::from_millis(300));
    result
}

async fn dispatch(command: Option<Command>, env: Env) -> anyhow::Result<Exit> {
    match command {
        None => ui::run(env, None).await,
        Some(Command::Demo(demo)) => ui::run(env, Some(demo.options())).await,
        Some(Command::Status(format)) => status::run(&env, format).await,
        Some(Command::Check(args)) => check::run(&env, args).await,
        Some(Command::Doctor(args)) => doctor::run(&env, args).await,
        Some(Command::Workers(format)) => listing::workers(&env, format).await,
        Some(Command::Queues(format)) => listing::queues(&env, format).await,
        Some(Command::Queue(args)) if !args.words.is_empty() => change::act(&env, args).await,
        Some(Command::Undo(args)) => change::undo(&env, args).await,
        Some(Command::Queue(args)) => queue::run(&env, args).await,
        Some(Command::Worker(args)) => worker::run(&env, args).await,
        Some(Command::Tasks(args)) => tasks::list(&env, args).await,
        Some(Command::Schedule(args)) => schedule::run(&env, args).await,
        Some(Command::Overrides(args)) => overrides::run(&env, args).await,
        Some(Command::Task(args)) => locate::run(&env, args).await,
        Some(Command::Find(args)) => find::run(&env, args).await,
        Some(Command::Events(args)) => events::run(&env, args).await,
        Some(Command::Revoke(args)) => tasks::revoke(&env, args).await,
        Some(Command::Retry(args)) => again::retry(&env, args).await,
        Some(Command::Send(args)) => send::run(&env, args).await,
        Some(Command::Bulk(args)) => bulk::run(&env, args).await,
        Some(Command::Replay(args)) => replay::run(env, args).await,
        Some(Command::Record) => record::run(&env).await,
        Some(Command::Serve(args)) => serve::run(env, args).await,
        Some(Command::History(args)) => history::run(&env, args).await,
        Some(Command::Mark { text }) => mark::run(&env, &text),
        Some(Command::Report(args)) => report::run(&env, &args),
        Some(Command::Config(args)) => config::run(&env, &args).await,
        Some(Command::BenchFeed(args)) => bench_feed::run(&env, &args).await,
        Some(Command::Completions { .. } | Command::Man) => Ok(Exit::Done),
    }
}
