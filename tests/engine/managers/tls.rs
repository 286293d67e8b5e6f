//! TLS at the root's port, with a certificate from secrets.

use std::process::{Command, Stdio};

use private_engine::need;

use super::free_port;
use super::small::Small;

/// The two secrets, in files beside the design.
const SECRETS: &str = "secrets: { 'ailtire-tls-certificate': { file: './tls/chain' }, \
                       'ailtire-tls-key': { file: './tls/key' } }";

/// Makes a key in `key` of the folder with the application's certificate, and one that fits in `chain`.
fn certify(small: &Small, key: &str, chain: &str) {
    need("openssl", "openssl").unwrap();
    let address = small.address.ip();
    let arguments = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {key} \
         -out {chain} -subj /CN=app -addext subjectAltName=IP:{address} \
         -addext basicConstraints=critical,CA:FALSE"
    );
    let mut openssl = Command::new("openssl");
    openssl.args(arguments.split_whitespace()).stderr(Stdio::null());
    assert!(openssl.current_dir(small.application.path("deploy/tls")).status().unwrap().success());
}

/// What a client that trusts the certificate alone gets at `address` over one of the protocols: the
/// body, and which one was spoken.
fn get(small: &Small, address: &str, protocol: &str) -> String {
    need("curl", "curl").unwrap();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", protocol, "--cacert"]);
    curl.arg(small.application.path("deploy/tls/chain")).args(["-w", "over %{http_version}"]);
    let output = curl.arg(address).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn tls_is_spoken_with_the_certificate_of_the_design() {
    let small = Small::new();
    small.application.put("deploy/tls/.gitignore", "*\n");
    certify(&small, "key", "chain");
    let (http, https) = (small.address.port(), free_port());
    let ports =
        format!("{{ target: 3000, published: {http} }}, {{ target: 3443, published: {https} }}");
    small.design("", &ports);
    let refused = small.run(&["up"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("error[no-certificate]"), "{refused}");

    small.design(SECRETS, &ports);
    small.done(&["up"]);
    small.is_reached();
    let address = format!("https://{}:{https}", small.address.ip());
    for (protocol, version) in [("--http2", "over 2"), ("--http1.1", "over 1.1")] {
        for (path, expected) in [("/", "web answers"), ("/inner/", "worker answers")] {
            let said = get(&small, &format!("{address}{path}"), protocol);
            assert!(said.contains(expected) && said.ends_with(version), "{path}: {said}");
        }
    }
    let secrets = || {
        let names = small.application.objects().into_keys();
        names.filter(|name| name.contains("ailtire-tls")).collect::<Vec<_>>()
    };
    let first = secrets();
    assert_eq!(first.len(), 2, "{first:?}");

    // A key of another certificate.
    certify(&small, "key", "other");
    let failed = small.run(&["up", "--timeout", "60s"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    assert!(failed.stderr.contains("TLS can't be spoken with"), "{failed}");
    certify(&small, "key", "chain");
    // Only TLS: the address says so.
    small.design(SECRETS, &format!("{{ target: 3443, published: {https} }}"));
    let up = small.done(&["up"]);
    assert!(up.stderr.contains(&format!("{address}/ ")), "{up}");
    assert!(get(&small, &address, "--http2").contains("web answers"));
    let second = secrets();
    assert!(second.len() == 2 && !second.contains(&first[0]), "{second:?}");
    small.done(&["down"]);
    assert_eq!(small.application.objects().into_keys().collect::<Vec<_>>(), [""; 0]);
}
