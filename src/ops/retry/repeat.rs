//! Sending again a message that is known to the letter: its body goes out as it is, and of its headers only what makes it
//! another message changes.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Options, Refusal, Retry, Source, id_of};
use crate::celery::TaskId;
use crate::celery::envelope::Envelope;
use crate::celery::message::{Body, Like, Message, Outgoing, Protocol};
use crate::celery::original::Original;
use crate::celery::queue::behind_delay;

/// The task's message once more.
pub(super) fn repeat(id: &TaskId, original: &Original, options: &Options) -> Result<Retry, Refusal> {
    let unreadable = |why: crate::celery::Error| Refusal::Unreadable(why.to_string());
    let message = original.message().map_err(unreadable)?;
    if message.protocol == Protocol::One {
        return Err(Refusal::Unreadable("it is of Celery's first protocol".into()));
    }
    let envelope = Envelope::parse(&original.bytes).map_err(unreadable)?;
    let (body, loses) = without_chord(&envelope, &message)?;
    let route = match options.queue {
        Some(_) => None,
        None => Some((message.exchange.clone(), message.routing_key.clone())).filter(|(_, key)| !key.is_empty()),
    };
    let route = route.map(|(exchange, key)| behind_delay(&exchange, &key).unwrap_or((exchange, key)));
    let whole: Value = crate::celery::json::parse(&original.bytes).map_err(unreadable)?;
    let like = Like {
        headers: envelope.headers(),
        body,
        content_type: envelope.content_type().to_owned(),
        content_encoding: whole["content-encoding"].as_str().unwrap_or("utf-8").to_owned(),
    };
    // What is shown are the arguments themselves, where they can be read.
    let shown = |printed: &Option<String>, read: Option<String>| read.or_else(|| printed.clone()).unwrap_or_default();
    let open = crate::redact::Redactor::new(&[] as &[String]);
    let outgoing = Outgoing {
        id: id_of(id, options),
        args: String::new(),
        kwargs: String::new(),
        argsrepr: shown(&message.argsrepr, message.body.args_text(&open)),
        kwargsrepr: shown(&message.kwargsrepr, message.body.kwargs_text(&open)),
        name: message.name.clone(),
        queue: options.queue.clone().unwrap_or_else(|| original.queue.clone()),
        route,
        priority: message.priority.and_then(|p| u8::try_from(p).ok()).unwrap_or(original.priority),
        root_id: message.root_id.clone(),
        parent_id: message.parent_id.clone(),
        origin: super::origin(),
        eta: options.eta.clone(),
        expires: None,
        like: Some(Arc::new(like)),
    };
    Ok(Retry { original: id.clone(), message: outgoing, loses, source: Source::Original })
}

/// The body; without its chord, whose other members have long been counted.
fn without_chord(envelope: &Envelope<'_>, message: &Message) -> Result<(Vec<u8>, Vec<&'static str>), Refusal> {
    let unreadable = |why: crate::celery::Error| Refusal::Unreadable(why.to_string());
    let whole = || envelope.packed().map(std::borrow::Cow::into_owned).map_err(unreadable);
    let chord = matches!(&message.body, Body::Known { embed, .. } if !embed["chord"].is_null());
    if !chord {
        let group = message.group.is_some().then_some("its group");
        return Ok((whole()?, group.into_iter().collect()));
    }
    let cant = || Refusal::Unreadable("its chord can't be taken out of its body".into());
    if envelope.headers().contains_key("compression") {
        return Err(cant());
    }
    let body = envelope.body().map_err(unreadable)?;
    let (args, kwargs, mut embed): (&RawValue, &RawValue, Value) = serde_json::from_slice(&body).map_err(|_| cant())?;
    embed["chord"] = Value::Null;
    Ok((format!("[{args}, {kwargs}, {embed}]").into_bytes(), vec!["its group and chord"]))
}

/// The envelope that a task sent again lies in, for a bulk that keeps it until it is sent.
pub(in crate::ops) fn as_original(message: &Outgoing) -> Original {
    Original {
        queue: message.queue.clone(),
        priority: message.priority,
        bytes: message.encode_redis().into_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::to_base64;

    fn original(body: &str, headers: &str) -> Original {
        let envelope = format!(
            r#"{{"body": "{}", "content-encoding": "utf-8", "content-type": "application/json",
                "headers": {{"task": "t", "id": "old", "retries": 2, "timelimit": [5, 9], "root_id": "root"{headers}}},
                "properties": {{"body_encoding": "base64", "priority": 4, "correlation_id": "old",
                "delivery_info": {{"exchange": "ex", "routing_key": "rk"}}}}}}"#,
            to_base64(body.as_bytes())
        );
        Original { queue: "q".into(), priority: 3, bytes: envelope.into_bytes().into() }
    }

    fn again(body: &str, headers: &str, options: &Options) -> Result<Retry, Refusal> {
        repeat(&TaskId::new("old"), &original(body, headers), options)
    }

    #[test]
    fn the_body_goes_out_to_the_letter_and_the_headers_but_for_what_is_new() {
        let body = r#"[[NaN, 1E400, "\ud800"], {"a": 12345678901234567890123}, {"callbacks": [{"task": "next"}], "chain": null}]"#;
        let retry = again(body, r#", "x-mine": "kept""#, &Options::default()).expect("can be repeated");
        assert_eq!(&*retry.message.body(), body.as_bytes());
        let headers = retry.message.headers();
        assert_eq!((&headers["timelimit"], &headers["x-mine"]), (&serde_json::json!([5, 9]), &"kept".into()));
        assert_eq!((&headers["retries"], &headers["root_id"]), (&0.into(), &"root".into()));
        assert_ne!(headers["id"], "old");
        assert_eq!(retry.message.route, Some(("ex".into(), "rk".into())));
        assert_eq!((retry.message.priority, retry.loses.len()), (4, 0));
        let same = again(body, "", &Options { same_id: true, ..Options::default() }).expect("can be repeated");
        assert_eq!(same.message.headers()["id"], "old");
    }

    #[test]
    fn a_chord_is_taken_out_and_said_to_be() {
        let body = r#"[[1.0, 10000000000000000000000], {}, {"chord": {"task": "sum"}, "chain": [{"task": "next"}]}]"#;
        let retry = again(body, r#", "group": "g""#, &Options::default()).expect("can be repeated");
        assert_eq!(
            String::from_utf8_lossy(&retry.message.body()),
            r#"[[1.0, 10000000000000000000000], {}, {"chord":null,"chain":[{"task":"next"}]}]"#
        );
        assert_eq!(retry.loses, ["its group and chord"]);
        let odd = again(r#"[[NaN], {}, {"chord": {"task": "sum"}}]"#, "", &Options::default());
        assert!(matches!(odd, Err(Refusal::Unreadable(_))), "what can't be changed is not sent");
    }
}
