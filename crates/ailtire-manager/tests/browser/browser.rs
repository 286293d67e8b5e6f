//! A Chromium of a test's own: its own profile, its own driver, and nothing left of it.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use private_engine::{need, wait_for};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::web_driver::{Answer, Session};

/// How web drivers name the field with an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long something on the page may take to come about.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Keys, as web drivers name them.
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const SELECT_ALL: &str = "\u{e009}a\u{e000}";
}

/// A browser with one window.
pub(crate) struct Browser {
    session: Session,
    /// What the page is to have on its console, as parts of lines.
    expected: Vec<&'static str>,
    /// Hosts that were opened: nothing else is to be asked.
    hosts: RefCell<Vec<String>>,
    _driver: Driver,
}

/// The driver's process, and the folder in which the browser keeps its things.
struct Driver {
    process: Child,
    profile: TempDir,
}

impl Browser {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let mut driver = Driver::start();
        let folder = |name: &str| driver.profile.path().join(name).display().to_string();
        let arguments = [
            "--headless=new".to_owned(),
            // Tests run as root, for which there is no sandbox.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", folder("data")),
            format!("--disk-cache-dir={}", folder("cache")),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": program("chromium"), "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let port = driver.port();
        let session = Session::start(port, &capabilities).unwrap();
        Self { session, expected: Vec::new(), hosts: RefCell::default(), _driver: driver }
    }

    /// Opens an address.
    pub(crate) fn open(&self, address: &str) {
        let host: String = address.split_inclusive('/').take(3).collect();
        self.hosts.borrow_mut().push(host);
        self.session.post("url", &json!({ "url": address })).unwrap();
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        self.session.get("url").unwrap().as_str().unwrap().to_owned()
    }

    /// Waits until `selector` finds something, and gives the first of it.
    fn element(&self, selector: &str) -> String {
        let query = json!({ "using": "css selector", "value": selector });
        let look = || self.session.post("element", &query).ok();
        let found = wait_for(PATIENCE, selector, look).unwrap();
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks on what `selector` finds, scrolled into view, as a person would.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.session.post(&format!("element/{element}/click"), &json!({})).unwrap();
    }

    /// Types into what `selector` finds.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        let body = json!({ "text": text });
        self.session.post(&format!("element/{element}/value"), &body).unwrap();
    }

    /// Presses keys, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let active = self.session.get("element/active").unwrap();
        let element = active[ELEMENT].as_str().unwrap();
        self.session.post(&format!("element/{element}/value"), &json!({ "text": keys })).unwrap();
    }

    /// What a script gives, which has `return` in it.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.try_run(script).unwrap()
    }

    fn try_run(&self, script: &str) -> Answer {
        self.session.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of what `selector` finds, as it is seen.
    pub(crate) fn text(&self, selector: &str) -> String {
        let element = self.element(selector);
        let text = self.session.get(&format!("element/{element}/text")).unwrap();
        text.as_str().unwrap().to_owned()
    }

    /// Waits until the script expression `condition` is true.
    pub(crate) fn wait(&self, condition: &str) {
        let script = format!("return Boolean({condition})");
        let look = || (self.try_run(&script).ok()? == Value::Bool(true)).then_some(());
        if let Err(error) = wait_for(PATIENCE, condition, look) {
            let shown = self.try_run("return document.body.innerText");
            panic!("{error}; {} shows: {shown:?}", self.address());
        }
    }

    /// Waits until what `selector` finds has `text` in it.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait(&format!("document.querySelector({selector})?.textContent.includes({text})"));
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn command(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.session.post("goog/cdp/execute", &body).unwrap()
    }

    /// Makes it a small telephone.
    pub(crate) fn be_phone(&self) {
        let size = json!({ "width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": true });
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers light or dark pages.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// The cookies of the page, with what scripts don't get to see.
    pub(crate) fn cookies(&self) -> Value {
        self.command("Network.getAllCookies", &json!({}))["cookies"].clone()
    }

    /// A picture of the window, as PNG in base64.
    pub(crate) fn screenshot(&self) -> String {
        self.session.get("screenshot").unwrap().as_str().unwrap().to_owned()
    }

    /// Lines of the console that have `part` in them are no error.
    pub(crate) fn expect(&mut self, part: &'static str) {
        self.expected.push(part);
    }

    /// Ends it, and checks what no page may do: have errors on the console, or ask another host.
    pub(crate) fn finish(self) {
        let entries = self.log("browser");
        let unexpected: Vec<_> = entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .filter(|message| !self.expected.iter().any(|part| message.contains(part)))
            .collect();
        assert!(unexpected.is_empty(), "on the console: {unexpected:#?}");
        let foreign: Vec<_> = self.requests().into_iter().filter(|it| !self.is_own(it)).collect();
        assert!(foreign.is_empty(), "requests to others: {foreign:#?}");
        self.session.end().unwrap();
    }

    /// The addresses of all requests since it was asked last.
    fn requests(&self) -> Vec<String> {
        let messages = self.log("performance").into_iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            let address = message["params"]["request"]["url"].as_str()?;
            is_request.then(|| address.to_owned())
        });
        messages.collect()
    }

    fn is_own(&self, address: &str) -> bool {
        let hosts = self.hosts.borrow();
        let known = hosts.iter().map(String::as_str).chain(["data:", "about:", "chrome:"]);
        known.into_iter().any(|beginning| address.starts_with(beginning))
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.session.post("se/log", &json!({ "type": kind })).unwrap();
        entries.as_array().unwrap().clone()
    }
}

impl Driver {
    fn start() -> Self {
        need("chromium", "chromium").unwrap();
        need("chromedriver", "chromium-driver").unwrap();
        for program in ["setpriv", "unshare"] {
            need(program, "util-linux").unwrap();
        }
        let profile = tempfile::tempdir().unwrap();
        // The driver is the first process of a namespace: when it ends, the kernel ends all others
        // there, which are the browser's. And it ends when the test does, in whatever way.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .args(["chromedriver", "--port=0"])
            .env("TMPDIR", profile.path())
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { process, profile }
    }

    /// The port that it says it listens on.
    fn port(&mut self) -> u16 {
        let output = BufReader::new(self.process.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("started successfully on port")).unwrap();
        // What it says later goes nowhere, but a closed pipe would end it.
        std::thread::spawn(move || lines.for_each(drop));
        line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
        // Its folder can be removed once nobody writes there any more.
        let look = || (!has_processes(self.profile.path())).then_some(());
        let ended = wait_for(PATIENCE, "the browser's end", look);
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// Whether processes have `folder` in their arguments.
fn has_processes(folder: &Path) -> bool {
    let folder = folder.display().to_string();
    let mut entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.any(|entry| {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&folder)
    })
}

fn program(name: &str) -> PathBuf {
    let folders = ["/usr/bin", "/usr/local/bin", "/bin"];
    let mut files = folders.iter().map(|folder| Path::new(folder).join(name));
    files.find(|file| file.exists()).unwrap()
}
