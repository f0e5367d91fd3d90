//! Choosing another cluster, and a broker that does not let us do everything.

use flower_tui::broker::{Lack, Right};
use flower_tui::tui::app::Do;
use flower_tui::tui::options::Cluster;
use flower_tui::tui::theme::{Role, Theme};
use flower_tui::tui::view::Leave;

use crate::screens::{Stage, busy};

fn cluster(name: &str, broker: Result<&str, &str>, color: Option<Role>) -> Cluster {
    let broker = broker.map(str::to_owned).map_err(str::to_owned);
    Cluster { name: name.into(), broker, color, read_only: color == Some(Role::Danger) }
}

fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&busy(), width, height, Theme::dark());
    stage.app.options.clusters = vec![
        cluster("gone", Err("can't read /etc/gone"), None),
        cluster("production", Ok("redis://cache-1:6379/0"), Some(Role::Danger)),
        cluster("staging", Ok("sentinel://:***@a:26379;b:26379/0"), Some(Role::Ok)),
        cluster(&"long".repeat(60), Ok("redis://\u{1b}[2J/0"), None),
    ];
    stage.draw();
    stage
}

#[test]
fn clusters_are_chosen_from_a_menu() {
    for (width, height) in [(40, 12), (120, 36)] {
        let mut stage = stage(width, height);
        stage.keys("C");
        insta::assert_snapshot!(format!("clusters-{width}x{height}"), stage.text());
    }
    let mut stage = stage(120, 36);
    stage.keys("Cj<Enter>");
    assert_eq!(stage.done, [Do::Leave(Leave::Profile("staging".into()))]);
    stage.keys("<Esc>");
    assert!(!stage.text().contains("● production"), "Esc leads back");
    stage.keys("Cgg<Enter>");
    assert_eq!(stage.done.len(), 1, "what can't be used is not gone to");
    assert!(stage.text().contains("can't read /etc/gone"));
}

#[test]
fn without_profiles_the_menu_says_how_to_make_one() {
    let mut stage = stage(120, 36);
    stage.app.options.clusters.clear();
    stage.app.options.config = Some("/home/me/.config/flower-tui/config.toml".into());
    stage.keys("C");
    let text = stage.text();
    for said in ["/home/me/.config/flower-tui/config.toml yet", "[profiles.production]", "flower-tui config init"] {
        assert!(text.contains(said), "{said} in {text}");
    }
    stage.keys("<Enter>");
    assert!(stage.done.is_empty() && !stage.text().contains("[profiles.production]"));
}

#[test]
fn a_broker_that_lets_us_send_nothing_makes_the_screen_read_only_until_it_does() {
    let mut stage = stage(120, 36);
    let lack = |right, what: &str| Lack { right, what: what.into(), why: "this user may not".into() };
    let lacks =
        vec![lack(Right::Events, "PSUBSCRIBE /0.celeryev/*"), lack(Right::Control, "PUBLISH to /0.celery.pidbox")];
    let health = |stage: &mut Stage, lacks: &[Lack]| stage.health.as_mut().expect("asked").lacks = lacks.to_vec();
    health(&mut stage, &lacks);
    stage.keys("2Q");
    let text = stage.text();
    assert!(text.contains("NO EVENTS: no permission  READ-ONLY: no permission"), "{text}");
    assert!(!text.contains("Shut down 1 worker?") && stage.done.is_empty(), "{text}");
    // What can't be done is said with its reason on every tab, and stands so in every menu.
    let why = "no permission to PUBLISH to /0.celery.pidbox";
    for (keys, verb) in [("1r", "retry"), ("2Q", "shut down"), ("2i", "ping"), ("4H", "hold"), ("5r", "retry")] {
        stage.keys(keys);
        let said = format!("{why}: {verb} is not sent");
        assert!(stage.text().contains(&said), "{keys}: {}", stage.text());
    }
    for (keys, what) in [("1.", "send it again with the same"), ("2.", "shut the worker down"), ("2:shut", "shut down")]
    {
        stage.keys(keys);
        let text = stage.text();
        let line = text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what} in {text}"));
        assert!(line.contains("no permission to PUBLISH to /0.celery.pid"), "{keys}: {line}");
        stage.keys("<Esc>");
    }
    stage.keys("4");
    let said = "no permission to PSUBSCRIBE /0.celeryev/*, PUBLISH to /0.celery.pidbox: this user may not";
    assert!(stage.text().contains(said), "{}", stage.text());
    health(&mut stage, &[]);
    stage.keys("2Q");
    assert!(stage.text().contains("Shut down 1 worker?"), "{}", stage.text());
    assert!(!stage.text().contains("READ-ONLY"));
}

#[test]
fn a_server_that_is_not_redis_itself_is_named() {
    let mut stage = stage(120, 36);
    let mut header = |kind: &str| {
        stage.health.as_mut().expect("asked").kind = kind.into();
        stage.text().lines().next().map(str::to_owned).expect("a line")
    };
    assert!(header("keydb").contains("redis://cache-1:6379/0   keydb   ● live"));
    assert!(header("valkey").contains("   valkey   "));
    assert!(header("redis").contains("redis://cache-1:6379/0   ● live"));
}

#[test]
fn the_master_in_use_stands_in_the_header_and_the_broker_tab() {
    let mut stage = stage(200, 36);
    let health = stage.health.as_mut().expect("asked");
    (health.master, health.queue_order) = (Some("mymaster → 10.0.0.3:6379".into()), Some("sorted".into()));
    stage.keys("4");
    let text = stage.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("production   sentinel mymaster → 10.0.0.3:6379   ● live"), "{text}");
    assert!(
        lines[2].contains("sentinel mymaster → 10.0.0.3:6379") && lines[2].contains("queues taken sorted"),
        "{text}"
    );
}
