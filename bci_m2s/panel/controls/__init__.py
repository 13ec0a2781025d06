"""What surrounds the pictures: buttons, actions, dialogs, messages, stream table, status line."""
