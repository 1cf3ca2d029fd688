"""What a run will take: windows, tokens, steps, disk and hours, before anything is downloaded."""
