"""Write files complete or not at all, and read JSON that others wrote.

`atomic` writes and hashes; `json_objects` reads JSON with one clear sentence for every mistake;
`codec` turns values into JSON and arrays and back.
"""
