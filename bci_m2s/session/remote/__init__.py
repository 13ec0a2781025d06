"""Remote control: experiment programs give commands in lines of text over TCP."""
