//! The application's span that a statement belongs to: `traceparent` of W3C Trace Context, as a query attribute (MySQL's drivers send it so) or in a
//! comment (sqlcommenter).

/// How far from the beginning and from the end of a statement its comment is looked for, in bytes: no client may have megabytes searched.
const SEARCHED: usize = 512;

/// The name of the query attribute, and of the key in a comment.
pub(crate) const TRACEPARENT: &[u8] = b"traceparent";

/// One parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// The number of its trace.
    pub(crate) trace: [u8; 16],
    /// Its own number.
    pub(crate) span: [u8; 8],
    /// It is recorded, and so are those that belong to it.
    pub(crate) is_sampled: bool,
}

impl TraceParent {
    /// Reads the text of version 00, or what a later version has in common with it. W3C Trace Context, section 3.2.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut fields = text.split('-');
        let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_known = version != "ff" && (version != "00" || fields.next().is_none());
        let ([_], [flags]) = (hex::<1>(version)?, hex::<1>(flags)?);
        let parent = Self { trace: hex(trace)?, span: hex(span)?, is_sampled: flags & 1 == 1 };
        (is_known && parent.trace != [0; 16] && parent.span != [0; 8]).then_some(parent)
    }

    /// From the comment of a statement. Clients that name one elsewhere, in a text for example, lie to themselves only.
    pub(crate) fn in_comment(sql: &[u8]) -> Option<Self> {
        let tail = sql.get(sql.len().saturating_sub(SEARCHED)..)?;
        let head = sql.get(..SEARCHED.min(sql.len()))?;
        [tail, head].into_iter().find_map(|part| {
            let found = part.windows(TRACEPARENT.len()).rposition(|window| window == TRACEPARENT)?;
            let value = part.get(found + TRACEPARENT.len()..)?.strip_prefix(b"='")?;
            Self::parse(value.get(..value.iter().position(|byte| *byte == b'\'')?)?)
        })
    }
}

/// Lower-case hexadecimal digits, two for each byte.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_valid_parent_is_one() {
        let parsed = TraceParent::parse(GOOD.as_bytes()).expect("it is the specification's own example");
        assert_eq!((parsed.trace[0], parsed.trace[15], parsed.span[0], parsed.span[7]), (0x0a, 0x9c, 0xb7, 0x31));
        assert!(parsed.is_sampled);
        let is_sampled = |text: &str| TraceParent::parse(text.as_bytes()).map(|parent| parent.is_sampled);
        assert_eq!(is_sampled(&GOOD.replace("-01", "-02")), Some(false));
        assert_eq!(is_sampled(&format!("cc{}-what the future will bring", &GOOD[2..])), Some(true));
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert_eq!(is_sampled(bad), None, "{bad}");
        }
        assert_eq!(TraceParent::parse(b"\xff\xff"), None);
    }

    #[test]
    fn it_is_found_at_either_end_of_a_statement() {
        let find = |sql: &str| TraceParent::in_comment(sql.as_bytes()).is_some();
        let comment = format!("/*action='%2Fcart',traceparent='{GOOD}',tracestate='x%3D1'*/");
        assert!(find(&format!("SELECT 1 {comment}")) && find(&format!("{comment} SELECT 1")) && find(&comment));
        assert!(find(&format!("SELECT '{}' {comment}", "x".repeat(9999))) && find(&format!("{comment} {}", "x".repeat(9999))));
        assert!(!find(&format!("{0} {comment} {0}", "x".repeat(999))), "that far it is not searched");
        for nothing in ["", "SELECT 1", "traceparent", "traceparent='", "traceparent=''", "/*traceparent=1*/"] {
            assert!(!find(nothing), "{nothing}");
        }
    }
}
