/// One key of the configuration in force, as `config` lists them.
package struct ConfigurationRow: Codable, Equatable, Sendable {
    /// Dotted, as in the file: `media.first_port`.
    package var key: String
    package var value: String
    /// Where the value comes from: `default`, or file and line.
    package var origin: String
    /// The name a VOS3000 operator knows this setting by.
    package var vosName: String?
    /// What a changed value needs: `now`, `new calls` or `restart`.
    package var reload: String

    package init(key: String, value: String, origin: String, vosName: String? = nil, reload: String) {
        self.key = key
        self.value = value
        self.origin = origin
        self.vosName = vosName
        self.reload = reload
    }
}
