//! What a toolkit says of itself, as word searches read it.

use super::model::ToolkitFile;

/// Words in lower case with a blank between them. Lists of thousands of toolkits are searched for every
/// request, so they are cut once.
#[derive(Debug)]
pub struct Folded {
    /// Of the slug.
    pub slug: Box<str>,
    /// Of the name.
    pub name: Box<str>,
    /// Of the description.
    pub description: Box<str>,
}

impl Folded {
    pub(super) fn of(file: &ToolkitFile) -> Self {
        Self {
            slug: fold(&file.slug),
            name: fold(&file.name),
            description: fold(&file.description),
        }
    }
}

/// The words of a text.
pub fn fold(text: &str) -> Box<str> {
    let mut folded = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(&word.to_lowercase());
    }
    folded.into()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn words_are_all_that_is_left() {
        assert_eq!(&*fold("  Mail, of  \u{c4}rzte_2!"), "mail of \u{e4}rzte 2");
        assert_eq!(&*fold("-"), "");
    }
}
