import Configuration
import Core
import Testing

@Suite struct CallbackURLTests {
    @Test("a callback goes to the address of the URL, or to the proxy's where it says %%", arguments: [
        ("http://192.0.2.1", "192.0.2.1:80", "/"),
        ("http://192.0.2.1:8080/RPC2", "192.0.2.1:8080", "/RPC2"),
        ("http://[2001:db8::1]:8080/a/b?c=d", "[2001:db8::1]:8080", "/a/b?c=d"),
        ("http://%%/RPC2", "198.51.100.7:80", "/RPC2"),
        ("http://%%:8080", "198.51.100.7:8080", "/"),
    ])
    func servers(text: String, server: String, path: String) throws {
        let url = try #require(CallbackURL(text))
        #expect(url.server(proxy: IPAddress("198.51.100.7"))?.description == server)
        #expect(url.path == path)
        #expect(CallbackURL(url.description) == url)
    }

    @Test("where it needs the proxy's address and that is unknown, it goes nowhere")
    func unknownProxy() throws {
        #expect(try #require(CallbackURL("http://%%:8080/")).server(proxy: nil) == nil)
        #expect(try #require(CallbackURL("http://192.0.2.1/")).server(proxy: nil) != nil)
    }

    @Test("what relayd could not call is refused", arguments: [
        "", "http://", "https://192.0.2.1/", "http://localhost/", "http://0.0.0.0:80/", "http://192.0.2.1:0/", "http://%%:0",
        "http://%%:x/", "http://%%%%/", "http://192.0.2.1/a b", "192.0.2.1:8080",
    ])
    func refused(text: String) { #expect(CallbackURL(text) == nil) }
}
