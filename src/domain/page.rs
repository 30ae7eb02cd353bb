//! Pages of lists and their cursors.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// Largest page; a larger `limit` is clamped, because a released SDK asks
/// for 9999.
pub const MAX_LIMIT: i64 = 1000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Page number from 1.
    pub page: i64,
    /// Items per page, 1 to [`MAX_LIMIT`].
    pub limit: i64,
}

impl PageRequest {
    /// From the query's `limit` and `cursor`. `None` when the cursor was not
    /// made by [`Page::new`]. A limit out of range is clamped.
    pub fn parse(limit: Option<i64>, cursor: Option<&str>, default: i64) -> Option<Self> {
        let limit = limit.unwrap_or(default).clamp(1, MAX_LIMIT);
        let Some(cursor) = cursor.filter(|c| !c.is_empty()) else {
            return Some(Self { page: 1, limit });
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor.trim_end_matches('=')).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (page, size) = text.split_once('-')?;
        let (page, size) = (page.parse::<i64>().ok()?, size.parse::<i64>().ok()?);
        if !(1..=1_000_000_000).contains(&page) || !(1..=MAX_LIMIT).contains(&size) {
            return None;
        }
        Some(Self { page, limit: size })
    }

    /// Rows to skip.
    pub fn offset(self) -> i64 {
        (self.page - 1) * self.limit
    }

    /// Items of a list in memory to skip.
    pub fn skip(self) -> usize {
        usize::try_from(self.offset()).unwrap_or(usize::MAX)
    }

    /// Items of a list in memory to take, at most [`MAX_LIMIT`].
    pub fn take(self) -> usize {
        usize::try_from(self.limit).unwrap_or(0)
    }
}

/// A page as the API answers it. `next_cursor` is always present: null at
/// the end, because one client refuses an answer without the key.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Cursor of the next page, or null.
    pub next_cursor: Option<String>,
    /// Number of pages.
    pub total_pages: i64,
    /// This page's number, from 1.
    pub current_page: i64,
    /// Number of items on all pages.
    pub total_items: i64,
}

impl<T> Page<T> {
    /// The page `request` of a list of `total` items.
    pub fn new(items: Vec<T>, total: i64, request: PageRequest) -> Self {
        let total_pages = (total + request.limit - 1) / request.limit;
        let next_cursor = (request.page < total_pages)
            .then(|| URL_SAFE_NO_PAD.encode(format!("{}-{}", request.page + 1, request.limit)));
        Self { items, next_cursor, total_pages, current_page: request.page, total_items: total }
    }

    /// The page `request` of a whole list; `item` makes what is shown.
    pub fn cut<I>(list: Vec<I>, request: PageRequest, item: impl FnMut(I) -> T) -> Self {
        let total = i64::try_from(list.len()).unwrap_or(i64::MAX);
        let items = list.into_iter().skip(request.skip()).take(request.take()).map(item).collect();
        Self::new(items, total, request)
    }

    /// The same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
            total_pages: self.total_pages,
            current_page: self.current_page,
            total_items: self.total_items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page_and_ends() {
        let first = PageRequest::parse(Some(2), None, 20).unwrap();
        let page = Page::new(vec![1, 2], 3, first);
        let second = PageRequest::parse(None, page.next_cursor.as_deref(), 20).unwrap();
        assert_eq!(second, PageRequest { page: 2, limit: 2 });
        assert_eq!(Page::new(vec![3], 3, second).next_cursor, None);
    }

    #[test]
    fn a_whole_list_is_cut() {
        let second = PageRequest { page: 2, limit: 2 };
        let page = Page::cut(vec![1, 2, 3], second, |n| n * 10);
        assert_eq!((page.items, page.total_items, page.next_cursor), (vec![30], 3, None));
        assert!(Page::cut(vec![1], second, |n| n).items.is_empty());
    }

    #[test]
    fn limits_are_clamped_and_forged_cursors_refused() {
        assert_eq!(PageRequest::parse(Some(9999), None, 20).unwrap().limit, 1000);
        assert_eq!(PageRequest::parse(Some(-3), None, 20).unwrap().limit, 1);
        for forged in ["zzz", "!!", "MS0", "LTEtMTA", "OTk5OTk5OTk5OTk5OTk5OTk5LTEw"] {
            assert_eq!(PageRequest::parse(None, Some(forged), 20), None, "{forged}");
        }
    }
}
