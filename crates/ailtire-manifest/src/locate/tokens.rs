//! Cuts JavaScript into tokens, as far as finding keys needs it.
//!
//! Any text at all is accepted: what is no JavaScript gives tokens that mean nothing.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier, keyword or number.
    Word(String),
    /// A string literal; its content with simple escapes undone.
    Text(String),
    /// A template literal or regular expression.
    Opaque,
    /// One character of punctuation.
    Mark(char),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Line, counted from 1.
    pub(super) line: u32,
    /// Column in characters, counted from 1.
    pub(super) column: u32,
    /// Length in characters.
    pub(super) length: u32,
}

impl Token {
    pub(super) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }
}

/// All tokens of `text`; comments and white space are left out.
pub(super) fn tokenize(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().collect();
    let mut scanner = Scanner { letters: &letters, at: 0, line: 1, column: 1 };
    let mut tokens: Vec<Token> = Vec::new();
    if letters.starts_with(&['#', '!']) {
        scanner.skip_line();
    }
    while let Some(letter) = scanner.peek(0) {
        if letter.is_whitespace() || letter == '\u{feff}' {
            scanner.step();
        } else if letter == '/' && scanner.peek(1) == Some('/') {
            scanner.skip_line();
        } else if letter == '/' && scanner.peek(1) == Some('*') {
            scanner.skip_block_comment();
        } else {
            let (start, line, column) = (scanner.at, scanner.line, scanner.column);
            let kind = scanner.token(letter, tokens.last());
            let length = u32::try_from(scanner.at - start).unwrap_or(u32::MAX);
            tokens.push(Token { kind, line, column, length });
        }
    }
    tokens
}

struct Scanner<'text> {
    letters: &'text [char],
    at: usize,
    line: u32,
    column: u32,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> Option<char> {
        let letter = self.peek(0)?;
        self.at += 1;
        if letter == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(letter)
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|letter| letter != '\n') {
            self.step();
        }
    }

    fn skip_block_comment(&mut self) {
        self.step();
        self.step();
        while let Some(letter) = self.step() {
            if letter == '*' && self.peek(0) == Some('/') {
                self.step();
                return;
            }
        }
    }

    fn token(&mut self, first: char, previous: Option<&Token>) -> Kind {
        match first {
            '"' | '\'' => self.text(),
            '`' => {
                self.template();
                Kind::Opaque
            }
            '/' if starts_expression(previous) => self.regular_expression(),
            letter if is_word(letter) => {
                let mut word = String::new();
                while let Some(letter) = self.peek(0).filter(|letter| is_word(*letter)) {
                    word.push(letter);
                    self.step();
                }
                Kind::Word(word)
            }
            mark => {
                self.step();
                Kind::Mark(mark)
            }
        }
    }

    fn text(&mut self) -> Kind {
        let quote = self.step();
        let mut content = String::new();
        // A line end closes a string that its author forgot to close.
        while let Some(letter) = self.peek(0).filter(|letter| *letter != '\n') {
            self.step();
            if Some(letter) == quote {
                break;
            }
            if letter == '\\' {
                content.extend(self.step());
            } else {
                content.push(letter);
            }
        }
        Kind::Text(content)
    }

    /// A template literal with whatever is nested in its `${…}`.
    fn template(&mut self) {
        /// What the scanner is inside of.
        #[derive(PartialEq)]
        enum Inside {
            Template,
            Braces,
        }
        self.step();
        let mut inside = vec![Inside::Template];
        while let Some(innermost) = inside.last() {
            let in_template = *innermost == Inside::Template;
            match self.peek(0) {
                None => return,
                Some('\\') => {
                    self.step();
                    self.step();
                }
                Some('`') => {
                    self.step();
                    if in_template {
                        inside.pop();
                    } else {
                        inside.push(Inside::Template);
                    }
                }
                Some('$') if in_template && self.peek(1) == Some('{') => {
                    self.step();
                    self.step();
                    inside.push(Inside::Braces);
                }
                Some('{') if !in_template => {
                    self.step();
                    inside.push(Inside::Braces);
                }
                Some('}') if !in_template => {
                    self.step();
                    inside.pop();
                }
                Some('"' | '\'') if !in_template => {
                    self.text();
                }
                Some(_) => {
                    self.step();
                }
            }
        }
    }

    fn regular_expression(&mut self) -> Kind {
        let (at, line, column) = (self.at, self.line, self.column);
        self.step();
        let mut in_class = false;
        while let Some(letter) = self.peek(0).filter(|letter| *letter != '\n') {
            self.step();
            match letter {
                '\\' => {
                    self.step();
                }
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => {
                    while self.peek(0).is_some_and(is_word) {
                        self.step();
                    }
                    return Kind::Opaque;
                }
                _ => {}
            }
        }
        // It was a division after all.
        (self.at, self.line, self.column) = (at, line, column);
        self.step();
        Kind::Mark('/')
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

/// Whether an expression starts after `previous`, so that a slash begins a regular expression.
fn starts_expression(previous: Option<&Token>) -> bool {
    match previous.map(|token| &token.kind) {
        None => true,
        Some(Kind::Mark(mark)) => !matches!(mark, ')' | ']' | '}'),
        Some(Kind::Word(word)) => matches!(
            word.as_str(),
            "return" | "typeof" | "case" | "in" | "of" | "delete" | "void" | "throw" | "new"
        ),
        Some(Kind::Text(_) | Kind::Opaque) => false,
    }
}
