// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let relay = Target.Dependency.product(name: "Relay", package: "relayd")

let package = Package(
    name: "relayd-benchmarks",
    dependencies: [.package(name: "relayd", path: "..")],
    targets: [
        // The relay without its signalling: what `run` measures as relayd.
        .executableTarget(name: "relay-host", dependencies: [relay], path: "relay-host", swiftSettings: settings),
        // The packet path over fabricated completions: what `callgrind` counts.
        .executableTarget(name: "packet-path", dependencies: [relay], path: "packet-path", swiftSettings: settings),
    ]
)
