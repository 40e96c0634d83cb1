"""Two brokers to look at: acorn and birch, with people, symbols, groups, money and a modest flow of orders."""
