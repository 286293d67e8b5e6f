//! The sandbox: one JavaScript engine for one evaluation, on a thread of its own.
//!
//! The thread owns everything it touches and asks for files through a channel. So the evaluation
//! has a stack that is large enough whatever thread asks for it, and one that is stuck inside the
//! engine, where no interrupt reaches it, can be left behind.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::promise::PromiseHookType;
use rquickjs::{Array, Context, Ctx, Error, Exception, Function, Object, Runtime, Value};
use serde::de::IgnoredAny;

use super::failure::{Failure, FailureKind};
use crate::options::Limits;

/// Where definitions see the application root. It is the same on every machine.
pub(crate) const VIRTUAL_ROOT: &str = "/app";
/// The file name of our own code in JavaScript stacks.
pub(super) const PRELUDE_FILE: &str = "<sandbox>";
/// What a module's text is wrapped in, on its first line. No parenthesis stands before it, since
/// the engine would read on to its end, and then once more.
pub(super) const WRAPPER: &str = "1?function (exports, require, module, __filename, __dirname) {";
/// What follows a module's text; a text with a brace too many or too few does not fit it.
const WRAPPER_END: &str = "\n}:0";
/// What the engine may use of the C stack, in bytes.
const ENGINE_STACK: usize = 2 * 1024 * 1024;
/// The stack of the evaluating thread, in bytes: room for what the engine does not count.
pub(super) const THREAD_STACK: usize = 8 * 1024 * 1024;
/// How many bytes of JSON a definition may export.
const EXPORT_LIMIT: usize = 8 * 1024 * 1024;
/// How many lines a definition may write to the console.
const CONSOLE_LIMIT: usize = 200;
/// How many bytes one of them may have.
const CONSOLE_LINE_LIMIT: usize = 4 * 1024;

/// Our own code: each text is an expression that gives a function.
const PRELUDE: &str = include_str!("prelude.js");
/// The rest of our own code, by name: compiled when it is first used.
const PARTS: [(&str, &str); 4] = [
    ("date", include_str!("date.js")),
    ("process", include_str!("process.js")),
    ("console", include_str!("console.js")),
    ("path", include_str!("path.js")),
];
const CYCLE: &str = include_str!("cycle.js");

/// The parts of the language that definitions have: no clock (`Performance`), and nothing that
/// shows when memory is collected (`WeakRef`).
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// One evaluation to be done.
pub(super) struct Job {
    /// Path of the module, relative to the root, free of links.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    /// The argument of an exported function, as JSON.
    pub(super) parameters: Arc<str>,
    pub(super) limits: Limits,
    pub(super) requests: Sender<Request>,
}

/// What the evaluating thread asks of the one that started it.
pub(super) enum Request {
    /// A required file.
    Load {
        /// Directory of the module that requires it.
        base: String,
        specifier: String,
        reply: Sender<Result<(String, String), String>>,
    },
    /// The evaluation is over.
    Done(Box<Ran>),
}

/// What an evaluation came to.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// The exported data as JSON; `None` where JSON has no word for it.
    pub(super) exported: Option<String>,
    pub(super) failure: Option<Failure>,
    /// Keys of the export that hold functions.
    pub(super) dropped: Vec<String>,
    /// Whether the module exports a function, so that its parameters are an input.
    pub(super) called: bool,
    /// Names of all variables that were read.
    pub(super) variables: Vec<String>,
    pub(super) console: Vec<ConsoleLine>,
}

/// One line that a definition wrote to the console.
#[derive(Debug)]
pub(super) struct ConsoleLine {
    pub(super) text: String,
    pub(super) stack: String,
}

/// What the callbacks of one evaluation share.
#[derive(Default)]
struct Shared {
    timed_out: Cell<bool>,
    promised: Cell<bool>,
    called: Cell<bool>,
    variables: RefCell<BTreeSet<String>>,
    console: RefCell<Vec<ConsoleLine>>,
    dropped: RefCell<Vec<String>>,
    /// Message and place of the last JSON file that could not be parsed.
    json_failure: RefCell<Option<(String, String)>>,
}

/// Evaluates `job`.
pub(super) fn run(job: &Job) -> Ran {
    let shared = Rc::new(Shared::default());
    let result = evaluate(job, &shared);
    let (exported, failure) = match result {
        Ok(_) if shared.promised.get() => (None, Some(FailureKind::Asynchronous.into())),
        Ok(exported) => (exported, None),
        Err(failure) => (None, Some(failure)),
    };
    Ran {
        exported,
        failure,
        dropped: shared.dropped.take(),
        called: shared.called.get(),
        variables: shared.variables.take().into_iter().collect(),
        console: shared.console.take(),
    }
}

fn evaluate(job: &Job, shared: &Rc<Shared>) -> Result<Option<String>, Failure> {
    let broken = |error: Error| Failure::new(FailureKind::Engine, error.to_string());
    let runtime = Runtime::new().map_err(broken)?;
    let context = Context::custom::<Intrinsics>(&runtime).map_err(broken)?;
    let prepared = context.with(|ctx| prepare(&ctx, job, shared).map_err(broken));
    prepared?;
    runtime.set_max_stack_size(ENGINE_STACK);
    runtime.set_memory_limit(job.limits.memory);
    let deadline = Instant::now() + job.limits.time;
    let flags = Rc::clone(shared);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        let late = Instant::now() >= deadline;
        flags.timed_out.set(flags.timed_out.get() || late);
        late
    })));
    let flags = Rc::clone(shared);
    runtime.set_promise_hook(Some(Box::new(move |_, kind, _, _| {
        if matches!(kind, PromiseHookType::Init) {
            flags.promised.set(true);
        }
    })));
    let result = context.with(|ctx| export(&ctx, job, shared));
    // Telling what went wrong takes memory and a little time, too.
    runtime.set_memory_limit(0);
    let failure = match result {
        Ok(exported) => return Ok(exported),
        Err(stage) => context.with(|ctx| failure_of(&ctx, stage, shared)),
    };
    if matches!(failure.kind, FailureKind::Memory | FailureKind::Null) {
        // An engine that ran out of memory may have lost track of objects, and would abort the
        // process when it is taken down. What it holds is bounded by the limit.
        std::mem::forget((context, runtime));
    }
    Err(failure)
}

/// What went wrong on the way, with the exception still pending in the engine.
enum Stage {
    Running(Error),
    Converting(Error, String),
    TooLarge,
}

const ENTRY: &str = "\u{0}ailtire entry";

/// Evaluates the prelude and leaves its entry function under a name that no definition can write.
fn prepare<'js>(ctx: &Ctx<'js>, job: &Job, shared: &Rc<Shared>) -> rquickjs::Result<()> {
    let prelude: Function<'js> = ctx.eval_with_options(PRELUDE, options(PRELUDE_FILE))?;
    let entry: Function<'js> = prelude.call((host(ctx, job, shared)?, VIRTUAL_ROOT))?;
    ctx.globals().set(ENTRY, entry)
}

fn export<'js>(ctx: &Ctx<'js>, job: &Job, shared: &Shared) -> Result<Option<String>, Stage> {
    let run = || -> rquickjs::Result<Array<'js>> {
        let entry: Function<'js> = ctx.globals().get(ENTRY)?;
        ctx.globals().remove(ENTRY)?;
        let parameters = ctx.json_parse(job.parameters.as_bytes())?;
        entry.call((job.path.as_str(), job.text.as_str(), parameters))
    };
    let result = run().map_err(Stage::Running)?;
    let data: Value<'js> = result.get(0).map_err(Stage::Running)?;
    shared.called.set(result.get(1).map_err(Stage::Running)?);
    *shared.dropped.borrow_mut() = result.get(2).map_err(Stage::Running)?;
    let text = match ctx.json_stringify(data.clone()) {
        Ok(None) => return Ok(None),
        Ok(Some(text)) => {
            text.to_string().map_err(|error| Stage::Converting(error, String::new()))?
        }
        Err(error) => {
            let pending = ctx.catch();
            let cycle = ctx.eval_with_options::<Function<'js>, _>(CYCLE, options(PRELUDE_FILE));
            let place = cycle.and_then(|cycle| cycle.call::<_, String>((data,)));
            let place = place.unwrap_or_default();
            ctx.throw(pending);
            return Err(Stage::Converting(error, place));
        }
    };
    if text.len() > EXPORT_LIMIT { Err(Stage::TooLarge) } else { Ok(Some(text)) }
}

fn options(file: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(file.to_owned());
    options
}

fn host<'js>(ctx: &Ctx<'js>, job: &Job, shared: &Rc<Shared>) -> rquickjs::Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    host.set("load", load_function(ctx, job)?)?;
    host.set("json", json_function(ctx, shared)?)?;
    host.set("environment", environment_function(ctx, job, shared)?)?;
    host.set("log", log_function(ctx, shared)?)?;
    let compile = |ctx: Ctx<'js>, path: String, text: String| -> rquickjs::Result<Function<'js>> {
        ctx.eval_with_options(wrap(&text), options(&path))
    };
    host.set("compile", Function::new(ctx.clone(), compile)?)?;
    let part = |ctx: Ctx<'js>, name: String| -> rquickjs::Result<Function<'js>> {
        let part = PARTS.iter().find(|(part, _)| *part == name);
        let (_, text) = part.ok_or_else(|| Exception::throw_message(&ctx, "no such part"))?;
        ctx.eval_with_options(*text, options(PRELUDE_FILE))
    };
    host.set("part", Function::new(ctx.clone(), part)?)?;
    Ok(host)
}

/// The text of a module as a function, every line where it was.
fn wrap(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A `#!` line is none for the engine once something stands before it.
    let comment = if text.starts_with("#!") { "//" } else { "" };
    format!("{WRAPPER}{comment}{text}{WRAPPER_END}")
}

fn load_function<'js>(ctx: &Ctx<'js>, job: &Job) -> rquickjs::Result<Function<'js>> {
    let requests = job.requests.clone();
    Function::new(
        ctx.clone(),
        move |ctx: Ctx<'js>, base: String, specifier: String| -> rquickjs::Result<Vec<String>> {
            let (reply, answer) = channel();
            // Nobody is there any more where the evaluation was given up.
            let gone = || Exception::throw_message(&ctx, "the evaluation was given up");
            requests.send(Request::Load { base, specifier, reply }).map_err(|_| gone())?;
            match answer.recv().map_err(|_| gone())? {
                Ok((path, text)) => Ok(vec![path, text]),
                Err(message) => Err(Exception::throw_message(&ctx, &message)),
            }
        },
    )
}

fn json_function<'js>(ctx: &Ctx<'js>, shared: &Rc<Shared>) -> rquickjs::Result<Function<'js>> {
    let shared = Rc::clone(shared);
    Function::new(
        ctx.clone(),
        move |ctx: Ctx<'js>, path: String, text: String| -> rquickjs::Result<Value<'js>> {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
                let place = format!("{path}:{}:{}", error.line(), error.column());
                let message = format!("`{path}` is not valid JSON: {error}");
                *shared.json_failure.borrow_mut() = Some((message.clone(), place));
                return Err(Exception::throw_message(&ctx, &message));
            }
            ctx.json_parse(text)
        },
    )
}

fn environment_function<'js>(
    ctx: &Ctx<'js>,
    job: &Job,
    shared: &Rc<Shared>,
) -> rquickjs::Result<Function<'js>> {
    let (environment, shared) = (Arc::clone(&job.environment), Rc::clone(shared));
    Function::new(ctx.clone(), move |name: String| {
        let value = environment.get(&name).cloned();
        shared.variables.borrow_mut().insert(name);
        value
    })
}

fn log_function<'js>(ctx: &Ctx<'js>, shared: &Rc<Shared>) -> rquickjs::Result<Function<'js>> {
    let shared = Rc::clone(shared);
    Function::new(ctx.clone(), move |mut text: String, stack: Option<String>| {
        let mut console = shared.console.borrow_mut();
        if console.len() > CONSOLE_LIMIT {
            return;
        }
        if console.len() == CONSOLE_LIMIT {
            "further output of this definition is left out".clone_into(&mut text);
        }
        let end = text.floor_char_boundary(CONSOLE_LINE_LIMIT);
        text.truncate(end);
        console.push(ConsoleLine { text, stack: stack.unwrap_or_default() });
    })
}

/// Words for what went wrong; takes the pending exception.
fn failure_of(ctx: &Ctx<'_>, stage: Stage, shared: &Shared) -> Failure {
    if shared.timed_out.get() {
        let stack = Thrown::take(ctx).stack;
        return Failure { stack, ..FailureKind::Time.into() };
    }
    let (error, place) = match stage {
        Stage::TooLarge => return FailureKind::ExportSize.into(),
        Stage::Running(error) => (error, None),
        Stage::Converting(error, place) => (error, Some(place)),
    };
    match error {
        Error::Exception => {}
        Error::Allocation => return FailureKind::Memory.into(),
        error => return Failure::new(FailureKind::Export, error.to_string()),
    }
    let mut thrown = Thrown::take(ctx);
    // A getter of the exception may be what does not end.
    if shared.timed_out.get() {
        return FailureKind::Time.into();
    }
    let kind = thrown.kind(place.as_deref());
    if let Some((_, place)) =
        shared.json_failure.take().filter(|(message, _)| *message == thrown.message)
    {
        thrown.stack.insert_str(0, &format!("    at {place}\n"));
    }
    let message = match kind {
        FailureKind::Cycle => place.unwrap_or_default(),
        FailureKind::Throw if !thrown.name.is_empty() => {
            format!("{}: {}", thrown.name, thrown.message)
        }
        _ => thrown.message,
    };
    Failure { kind, message, stack: thrown.stack }
}

/// A JavaScript exception, taken apart.
#[derive(Default)]
struct Thrown {
    name: String,
    message: String,
    stack: String,
}

impl Thrown {
    fn take(ctx: &Ctx<'_>) -> Self {
        let value = ctx.catch();
        let Some(object) = value.as_object().filter(|object| object.is_error()) else {
            let shown = ctx.json_stringify(value).ok().flatten();
            let message = shown.and_then(|text| text.to_string().ok());
            // The exception of a failing conversion is of no interest.
            ctx.catch();
            return Self { message: message.unwrap_or("a value".to_owned()), ..Self::default() };
        };
        let text = |name: &str| object.get::<_, String>(name).unwrap_or_default();
        let thrown = Self { name: text("name"), message: text("message"), stack: text("stack") };
        ctx.catch();
        thrown
    }

    /// `cycle`: the place of the cycle, where the export was being converted.
    fn kind(&self, cycle: Option<&str>) -> FailureKind {
        match (self.name.as_str(), self.message.as_str()) {
            ("InternalError", "out of memory") => FailureKind::Memory,
            ("", "null") => FailureKind::Null,
            ("RangeError", "Maximum call stack size exceeded") if cycle.is_some() => {
                FailureKind::ExportDepth
            }
            ("RangeError", "Maximum call stack size exceeded") => FailureKind::Stack,
            _ if cycle.is_some_and(|place| !place.is_empty()) => FailureKind::Cycle,
            _ if cycle.is_some() => FailureKind::Export,
            ("SyntaxError", _) => FailureKind::Syntax,
            _ => FailureKind::Throw,
        }
    }
}
