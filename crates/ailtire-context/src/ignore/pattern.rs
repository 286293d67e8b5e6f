//! One glob pattern: compiling it, and matching it in time linear in the path.

/// A compiled pattern. The first three kinds are most of what people write, and cost next to
/// nothing to match.
#[derive(Debug, Clone)]
pub(super) enum Glob {
    /// No wildcard at all.
    Exact(Box<str>),
    /// `text**`.
    Prefix(Box<str>),
    /// `**text` and `**/text`; the text includes that slash.
    Suffix(Box<str>),
    /// Anything else: the literal text at its start and its end, which rule most paths out, and
    /// the whole of it.
    Tokens { start: Box<str>, end: Box<str>, tokens: Box<[Token]> },
}

/// A state of the automaton that a pattern becomes, and how it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// This character.
    Character(char),
    /// `?`: any character but the slash.
    One,
    /// `*`: any number of characters but slashes.
    Star,
    /// `[…]`; like Docker's it may match a slash.
    Class { negated: bool, ranges: Box<[(char, char)]> },
    /// `**` before something else: nothing, or anything that ends with a slash. The state after it
    /// is always its [`Token::Directories`].
    MaybeDirectories,
    /// The part of a [`Token::MaybeDirectories`] up to its last slash.
    Directories,
    /// `**` at the end.
    Everything,
}

impl Glob {
    /// Compiles a pattern that is cleaned already.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn compile(pattern: &str) -> Result<Self, &'static str> {
        let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
        if is_plain(pattern) {
            return Ok(Self::Exact(pattern.into()));
        }
        if let Some(start) = pattern.strip_suffix("**")
            && is_plain(start)
            && !start.is_empty()
        {
            return Ok(Self::Prefix(start.into()));
        }
        if let Some(end) = pattern.strip_prefix("**")
            && is_plain(end)
        {
            return Ok(Self::Suffix(end.into()));
        }
        let tokens = compile_tokens(pattern)?;
        let literal = |token: &Token| match token {
            Token::Character(character) => Some(*character),
            _ => None,
        };
        let start: String = tokens.iter().map_while(literal).collect();
        let end: Vec<char> = tokens.iter().rev().map_while(literal).collect();
        let end: String = end.into_iter().rev().collect();
        Ok(Self::Tokens { start: start.into(), end: end.into(), tokens: tokens.into_boxed_slice() })
    }

    /// Whether the whole of `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => path == &**text,
            Self::Prefix(start) => path.starts_with(&**start),
            Self::Suffix(end) => {
                path.ends_with(&**end) || end.strip_prefix('/').is_some_and(|name| path == name)
            }
            Self::Tokens { start, end, tokens } => {
                path.starts_with(&**start)
                    && path.ends_with(&**end)
                    && States::after(tokens, path).is_some_and(|states| states.accepts())
            }
        }
    }

    /// Whether some path below `directory` could match.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        match self {
            Self::Exact(text) => text.starts_with(&below),
            Self::Prefix(start) => start.starts_with(&below) || below.starts_with(&**start),
            Self::Suffix(_) => true,
            Self::Tokens { tokens, .. } => {
                States::after(tokens, &below).is_some_and(|states| states.goes_on())
            }
        }
    }
}

/// The states that an automaton is in; the one behind the last token accepts.
struct States {
    active: Vec<bool>,
}

impl States {
    /// The states after reading `text`; `None` where none is left.
    fn after(tokens: &[Token], text: &str) -> Option<Self> {
        let mut active = vec![false; tokens.len() + 1];
        let mut next = active.clone();
        active[0] = true;
        skip_what_may_be_empty(tokens, &mut active);
        for character in text.chars() {
            next.fill(false);
            let mut alive = false;
            for (state, token) in tokens.iter().enumerate().filter(|(state, _)| active[*state]) {
                let (stay, go) = step(token, character);
                next[state] |= stay;
                next[state + 1] |= go;
                alive |= stay | go;
            }
            if !alive {
                return None;
            }
            skip_what_may_be_empty(tokens, &mut next);
            std::mem::swap(&mut active, &mut next);
        }
        Some(Self { active })
    }

    fn accepts(&self) -> bool {
        self.active.last() == Some(&true)
    }

    fn goes_on(&self) -> bool {
        self.active.split_last().is_some_and(|(_, before)| before.contains(&true))
    }
}

/// Whether reading `character` may stay in the state of `token`, and may go on to the next.
fn step(token: &Token, character: char) -> (bool, bool) {
    match token {
        Token::Character(expected) => (false, *expected == character),
        Token::One => (false, character != '/'),
        Token::Star => (character != '/', false),
        Token::Class { negated, ranges } => {
            let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
            (false, inside != *negated)
        }
        Token::MaybeDirectories => (false, false),
        Token::Directories => (true, character == '/'),
        Token::Everything => (true, false),
    }
}

fn skip_what_may_be_empty(tokens: &[Token], active: &mut [bool]) {
    for (state, token) in tokens.iter().enumerate() {
        match token {
            Token::Star | Token::Everything => active[state + 1] |= active[state],
            Token::MaybeDirectories if active[state] => {
                active[state + 1] = true;
                active[state + 2] = true;
            }
            _ => {}
        }
    }
}

fn compile_tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_none() {
                    tokens.push(Token::Everything);
                } else {
                    tokens.extend([Token::MaybeDirectories, Token::Directories]);
                }
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::One),
            '[' => tokens.push(compile_class(&mut rest)?),
            '\\' => {
                let escaped = rest.next().ok_or("there is nothing after the `\\`")?;
                tokens.push(Token::Character(escaped));
            }
            character => tokens.push(Token::Character(character)),
        }
    }
    Ok(tokens)
}

type Characters<'text> = std::iter::Peekable<std::str::Chars<'text>>;

fn compile_class(rest: &mut Characters<'_>) -> Result<Token, &'static str> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let low = class_character(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { class_character(rest)? } else { low };
        if low > high {
            return Err("the range in `[…]` runs backwards");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges: ranges.into_boxed_slice() })
}

fn class_character(rest: &mut Characters<'_>) -> Result<char, &'static str> {
    match rest.next() {
        None => Err("the `[` has no `]`"),
        Some('-') => Err("a `-` in `[…]` needs a character on both sides, or a `\\` before it"),
        Some(']') => Err("a `]` in `[…]` needs a `\\` before it, and `[]` matches nothing"),
        Some('\\') => rest.next().ok_or("there is nothing after the `\\`"),
        Some(character) => Ok(character),
    }
}
