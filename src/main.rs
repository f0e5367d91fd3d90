//! Parse, run, and turn an error into one line and an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    flower_tui::cli::main()
}
