// swift-tools-version: 6.2
import PackageDescription

/// `make fuzz` builds once more, instrumented; its value is the path of libFuzzer without a main.
let fuzzer = Context.environment["RELAYD_FUZZ"]
let settings: [SwiftSetting] = (fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer,address"])]) + [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
/// For the leaves whose small generic and per-message functions the layers above call: without it each is compiled once, for
/// every type at a time, and a call costs a fifth more.
let acrossModules: [SwiftSetting] = [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]
let lifetimes: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "relayd",
    products: [
        .executable(name: "relayd", targets: ["relayd"]),
        .executable(name: "relayctl", targets: ["relayctl"]),
        .library(name: "Relay", targets: ["Core", "RTP", "Uring", "Relay"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
    ],
    targets: [
        // Modules, leaf first. No module imports one that stands below it.
        .systemLibrary(name: "CLibUring", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .target(name: "CURing", dependencies: ["CLibUring"]),
        .systemLibrary(name: "CLibSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CTLS", dependencies: ["CLibSSL"]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CDigest", dependencies: ["CLibCrypto"]),
        .target(name: "CMemory"),
        .target(name: "CKernelPath", exclude: ["relay.bpf.c"]),
        .target(name: "Core", dependencies: ["CMemory"], swiftSettings: settings + acrossModules),
        .target(name: "TLS", dependencies: ["CTLS"], swiftSettings: settings),
        .target(name: "RTP", dependencies: ["Core"], swiftSettings: settings + lifetimes),
        .target(name: "SIP", dependencies: ["Core", "CDigest"], swiftSettings: settings + lifetimes + acrossModules),
        .target(name: "Uring", dependencies: ["CURing", "Core"], swiftSettings: settings + lifetimes),
        .target(name: "Relay", dependencies: ["CKernelPath", "Core", "RTP", "Uring"], swiftSettings: settings + lifetimes),
        .target(
            name: "Records",
            dependencies: [
                "Core", .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: settings),
        .target(
            name: "Configuration",
            dependencies: ["Core", .product(name: "TOMLKit", package: "TOMLKit")],
            swiftSettings: settings),
        .target(name: "Diagnosis", dependencies: ["Core"], swiftSettings: settings + acrossModules),
        .target(name: "NG", dependencies: ["Core", "SIP"], swiftSettings: settings),
        .target(name: "Capture", dependencies: ["Core"], swiftSettings: settings),
        .target(name: "ControlProtocol", dependencies: ["Core"], swiftSettings: settings),
        .target(
            name: "Control",
            dependencies: [
                "Core", "RTP", "SIP", "NG", "TLS", "Uring", "Relay", "Records", "Configuration", "Capture",
                "ControlProtocol", "Diagnosis",
            ],
            swiftSettings: settings + lifetimes),
        .target(
            name: "Web",
            dependencies: [
                "Core", "Configuration", "ControlProtocol", "Control", "Uring",
                .product(name: "FlyingFox", package: "FlyingFox"), .product(name: "FlyingSocks", package: "FlyingFox"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "relayd",
            dependencies: ["Core", "Uring", "Control", "Configuration", "ControlProtocol", "Web", argumentParser],
            swiftSettings: settings),
        .executableTarget(
            name: "relayctl", dependencies: ["Core", "SIP", "ControlProtocol", argumentParser], swiftSettings: settings),

        .executableTarget(
            name: "relayd-trace-cost", dependencies: ["Control", "Core", "RTP", "Uring"], path: "Benchmarks/trace-cost",
            swiftSettings: settings),

        .executableTarget(
            name: "relayd-parse-cost", dependencies: ["SIP", "Uring", "Core"], path: "Benchmarks/parse-cost",
            swiftSettings: settings),

        // What starts the daemon and real peers around it: shared by the integration tests and `make demo`.
        .target(
            name: "Harness", dependencies: ["Core", "ControlProtocol", "NG"], path: "Tests/Harness",
            swiftSettings: settings),
        .executableTarget(
            name: "relayd-demo", dependencies: ["Harness", "ControlProtocol", "Core"], path: "Tests/Demo",
            swiftSettings: settings),
        // What a call costs in call control alone, for callgrind.
        .executableTarget(
            name: "call-path", dependencies: ["Control", "Configuration", "SIP", "Relay", "Core"], path: "Tests/CallPath",
            swiftSettings: settings),
        // The same of a registration with digest.
        .executableTarget(
            name: "register-path", dependencies: ["Control", "Configuration", "SIP", "Relay", "Core"], path: "Tests/RegisterPath",
            swiftSettings: settings),
        // The same of a call that a proxy drives over NG.
        .executableTarget(
            name: "ng-path", dependencies: ["Control", "Configuration", "Relay", "Core"], path: "Tests/NGPath",
            swiftSettings: settings),
        // What a call's record costs in the threads that hand it over and write it.
        .executableTarget(name: "record-path", dependencies: ["Records", "Core"], path: "Tests/RecordPath", swiftSettings: settings),

        // What reads octets from anyone, for a fuzzer and for the tests that stand in for one.
        .target(
            name: "FuzzTargets", dependencies: ["Control", "ControlProtocol", "Configuration", "Relay", "SIP", "NG", "RTP", "Core"],
            path: "Tests/FuzzTargets", exclude: ["Corpus"], swiftSettings: settings),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets", "Core"], swiftSettings: settings),

        .testTarget(name: "CoreTests", dependencies: ["Core"], swiftSettings: settings),
        .testTarget(name: "RTPTests", dependencies: ["RTP", "Core"], swiftSettings: settings),
        .testTarget(name: "SIPTests", dependencies: ["SIP", "Core"], exclude: ["Torture"], swiftSettings: settings),
        .testTarget(name: "DiagnosisTests", dependencies: ["Diagnosis", "Core"], swiftSettings: settings),
        .testTarget(name: "NGTests", dependencies: ["NG", "SIP", "Core"], swiftSettings: settings),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "Core"], swiftSettings: settings),
        .testTarget(name: "UringTests", dependencies: ["Uring", "Core"], swiftSettings: settings + lifetimes),
        .testTarget(name: "RelayTests", dependencies: ["CKernelPath", "Relay", "RTP", "Uring", "Core"], swiftSettings: settings),
        .testTarget(
            name: "RecordsTests", dependencies: ["Records", "Core", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: settings),
        .testTarget(name: "ConfigurationTests", dependencies: ["Configuration", "Core"], swiftSettings: settings),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "Control", "ControlProtocol", "Diagnosis", "SIP", "NG", "TLS", "Relay", "RTP", "Records", "Configuration", "Core",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "ControlProtocolTests", dependencies: ["ControlProtocol", "Core"], exclude: ["Golden"],
            swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests", dependencies: ["Harness", "ControlProtocol", "NG", "Core"], exclude: ["Scenarios"],
            swiftSettings: settings),
    ]
)

if let fuzzer {
    package.targets.append(
        .executableTarget(
            name: "relayd-fuzz", dependencies: ["FuzzTargets", "Core"], path: "Tests/Fuzz", swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-sanitize=address", fuzzer, "-lstdc++"])]))
}
