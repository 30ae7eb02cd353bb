//! Names of methods.

use crate::import::slug::{upper_snake, words};

/// Verbs whose object stays in the plural.
const MANY: [&str; 7] = ["LIST", "BATCH", "SEARCH", "AGGREGATED", "QUERY", "BULK", "CLEAR"];

/// What a method may be called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// `LIST_MESSAGES`
    pub plain: String,
    /// Words that tell it apart from others of that name, best first.
    pub others: Vec<String>,
    /// The id in other spellings: `USERS_MESSAGES_LIST`, `MESSAGES_LIST`.
    pub aliases: Vec<String>,
}

/// The names for an id such as `gmail.users.messages.list`.
pub(super) fn of(api: &str, id: &str) -> Names {
    let own = id.strip_prefix(api).and_then(|rest| rest.strip_prefix('.')).unwrap_or(id);
    let parts: Vec<String> =
        own.split('.').map(|part| upper_snake(&words(part))).filter(|p| !p.is_empty()).collect();
    let full = parts.join("_");
    let (verb, resources) = match parts.split_last() {
        Some((verb, resources)) => (verb.clone(), resources.to_vec()),
        None => ("CALL".to_owned(), Vec::new()),
    };
    // The user is who calls; it is no resource of its own.
    let resources = match resources.split_first() {
        Some((first, rest)) if first == "USERS" && (api == "gmail" || !rest.is_empty()) => {
            rest.to_vec()
        }
        _ => resources,
    };
    let many = MANY.contains(&verb.split('_').next().unwrap_or_default());
    let plain = match resources.last() {
        None => verb.clone(),
        Some(resource) if many => format!("{verb}_{resource}"),
        Some(resource) => format!("{verb}_{}", singular(resource)),
    };
    let mut others: Vec<String> = resources.iter().rev().skip(1).map(|r| singular(r)).collect();
    let short = resources.iter().chain([&verb]).cloned().collect::<Vec<_>>().join("_");
    others.extend(parts.split_last().map(|(_, rest)| rest.join("_")));
    let mut aliases: Vec<String> = Vec::new();
    for name in [full, short] {
        if name != plain && !name.is_empty() && !aliases.contains(&name) {
            aliases.push(name);
        }
    }
    Names { plain, others, aliases }
}

/// `MESSAGES` as `MESSAGE`, `ENTITIES` as `ENTITY`.
pub(super) fn singular(word: &str) -> String {
    let (head, last) = word.rsplit_once('_').map_or(("", word), |(head, last)| (head, last));
    let one = match last {
        "SETTINGS" | "SERIES" | "NEWS" | "ANALYTICS" | "STATUS" | "ADDRESS" | "ACCESS" | "DNS"
        | "CREDITS" | "SMS" => last.to_owned(),
        _ => {
            if let Some(stem) = last.strip_suffix("IES").filter(|stem| stem.len() > 1) {
                format!("{stem}Y")
            } else if let Some(stem) = ["SSES", "XES", "CHES", "SHES"]
                .iter()
                .find_map(|end| last.strip_suffix(end).map(|stem| (stem, *end)))
                .map(|(stem, end)| format!("{stem}{}", &end[..end.len() - 2]))
            {
                stem
            } else if last.len() > 2 && last.ends_with('S') && !last.ends_with("SS") {
                last[..last.len() - 1].to_owned()
            } else {
                last.to_owned()
            }
        }
    };
    if head.is_empty() { one } else { format!("{head}_{one}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_called_by_verb_and_resource() {
        for (api, id, plain) in [
            ("gmail", "gmail.users.messages.list", "LIST_MESSAGES"),
            ("gmail", "gmail.users.labels.get", "GET_LABEL"),
            ("gmail", "gmail.users.getProfile", "GET_PROFILE"),
            ("gmail", "gmail.users.messages.batchDelete", "BATCH_DELETE_MESSAGES"),
            ("gmail", "gmail.users.settings.cse.identities.create", "CREATE_IDENTITY"),
            ("gmail", "gmail.users.settings.sendAs.verify", "VERIFY_SEND_AS"),
            ("drive", "drive.files.create", "CREATE_FILE"),
            ("calendar", "calendar.calendarList.insert", "INSERT_CALENDAR_LIST"),
            ("calendar", "calendar.freebusy.query", "QUERY_FREEBUSY"),
            ("x", "x.classes.get", "GET_CLASS"),
            ("x", "x.mailboxes.get", "GET_MAILBOX"),
            ("x", "search", "SEARCH"),
        ] {
            assert_eq!(of(api, id).plain, plain, "{id}");
        }
        let names = of("gmail", "gmail.users.messages.attachments.get");
        assert_eq!(names.plain, "GET_ATTACHMENT");
        assert_eq!(names.aliases, ["USERS_MESSAGES_ATTACHMENTS_GET", "MESSAGES_ATTACHMENTS_GET"]);
        assert_eq!(names.others, ["MESSAGE", "USERS_MESSAGES_ATTACHMENTS"]);
        assert_eq!(of("calendar", "calendar.events.list").aliases, ["EVENTS_LIST"]);
        assert_eq!(of("a", "...").plain, "CALL");
    }
}
