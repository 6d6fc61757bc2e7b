import Testing
@testable import Znodes
