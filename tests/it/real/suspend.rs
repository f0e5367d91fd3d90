//! Back to the shell with ctrl-z and on with `fg`; and less to draw while nobody looks.

use std::process::Command;

use super::cluster::{flower, wait_for};
use super::pty::Screen;

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_until_fg() {
    let home = tempfile::tempdir().expect("temp");
    let demo = flower(&["demo", "--rate", "0", "--tasks", "500"], home.path());
    let script =
        format!("set -m; '{}' demo --rate 0 --tasks 500; echo stopped; read line; fg", demo.get_program().display());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env_clear();
    shell.envs(demo.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut screen = Screen::start(&shell, 100, 30);
    screen.wait("STATE");
    screen.keys("\x1a");
    screen.wait("stopped");
    assert!(!screen.text().contains("STATE"), "the screen is the shell's");
    assert!(screen.is_restored());
    screen.keys("\r");
    screen.wait("STATE");
    assert!(!screen.is_restored());
    screen.keys("2");
    screen.wait("LOADAVG");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn where_no_shell_waits_ctrl_z_draws_the_screen_again_as_ctrl_l_does() {
    let home = tempfile::tempdir().expect("temp");
    let mut screen = Screen::start(&flower(&["demo", "--rate", "0", "--tasks", "500"], home.path()), 100, 30);
    screen.wait("STATE");
    for key in ["\x1a", "\x0c"] {
        let before = screen.bytes();
        screen.keys(key);
        wait_for("the screen again", || (screen.bytes() > before + 1_000).then_some(()));
    }
    screen.keys("2");
    screen.wait("LOADAVG");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}
