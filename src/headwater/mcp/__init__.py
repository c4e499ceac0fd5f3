"""Tools of MCP servers as tools of a conversation, and this library's tasks as tools of an MCP server.

What needs the package `mcp` (https://github.com/modelcontextprotocol/python-sdk), which takes seconds to import, is in
`connection`, `process`, `pool_transport` and `server`, and loaded when it is used.
"""
