/// What this build calls itself: `status`, the Server header, `--version`.
public let relaydVersion = "0.1.0"
