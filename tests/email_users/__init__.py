"""A project whose users are known by e-mail address alone: no user name, no first name, an address that is unique."""
