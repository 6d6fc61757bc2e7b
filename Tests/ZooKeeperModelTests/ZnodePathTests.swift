import Testing
import ZooKeeperModel

@Suite struct ZnodePathTests {
    @Test(arguments: [
        "/", "/a", "/a/b", "/...", "/.b", "/a/..b", "/a.", "/ ", "/~", "/\u{A0}", "/\u{2028}",
        "/\u{FFEF}", "/\u{F900}", "/\u{D7FF}", "/é", "/e\u{301}", "/zookeeper",
    ])
    func `a path that Apache accepts is accepted`(path: String) {
        #expect(ZnodePath(path).validate() == nil)
    }

    @Test(arguments: [
        "", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/./a", "/a/.", "/a/../b",
        "/\u{0}", "/a\u{1}", "/\u{1F}", "/\u{7F}", "/\u{80}", "/\u{9F}", "/\u{E000}", "/\u{F8FF}",
        "/\u{FFF0}", "/\u{FFFD}", "/\u{FFFF}", "/\u{10000}", "/😀",
    ])
    func `a path that Apache refuses is refused with a reason`(path: String) throws {
        let reason = try #require(ZnodePath(path).validate())
        #expect(reason.hasPrefix("the path "))
    }

    @Test(arguments: [[0x2F, 0xFF], [0x2F, 0xC3], [0x2F, 0xED, 0xA0, 0x80], [0x2F, 0xC0, 0xAF]])
    func `a path that is not UTF-8 is refused`(bytes: [UInt8]) {
        #expect(ZnodePath(bytes: bytes).validate() == "the path is not valid UTF-8")
    }

    @Test func `é composed and decomposed are two paths`() {
        let composed = ZnodePath("/\u{E9}")
        let decomposed = ZnodePath("/e\u{301}")
        #expect(composed.description == decomposed.description)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test(arguments: [
        ("/a/b", "/a", "b"), ("/a", "/", "a"), ("/a/b/", "/a/b", ""), ("//a", "/", "a"),
    ])
    func `a path has a parent and a name`(path: String, parent: String, name: String) {
        #expect(ZnodePath(path).parent == ZnodePath(parent))
        #expect(ZnodePath(path).name.elementsEqual(name.utf8))
    }

    @Test func `the root and a path without slash have no parent`() {
        #expect(ZnodePath.root.parent == nil)
        #expect(ZnodePath("").parent == nil)
        #expect(ZnodePath("").isRoot)
        #expect(ZnodePath("a").parent == nil)
        #expect(ZnodePath("a").name.elementsEqual("a".utf8))
    }

    @Test func `appending puts one slash between`() {
        #expect(ZnodePath.root.appending("a") == "/a")
        #expect(ZnodePath("").appending("a") == "/a")
        #expect(ZnodePath("/a").appending("b") == "/a/b")
    }

    @Test func `below means below a whole element`() {
        #expect(ZnodePath("/a").isEqualOrBelow("/a"))
        #expect(ZnodePath("/a/b").isEqualOrBelow("/a"))
        #expect(ZnodePath("/a").isEqualOrBelow("/"))
        #expect(!ZnodePath("/ab").isEqualOrBelow("/a"))
        #expect(!ZnodePath("/a").isEqualOrBelow("/a/b"))
    }

    @Test func `paths are ordered by their bytes`() {
        #expect(ZnodePath("/a") < "/a/b")
        #expect(ZnodePath("/a-") < "/a/b")
        #expect(ZnodePath("/z") < "/é")
        #expect(!(ZnodePath("/a") < "/a"))
    }
}
